"""`unetseg info`, `ensemble` and `export`: what is done with trained models beside predicting."""

import argparse
import json
from pathlib import Path
from typing import Any


def add_info(commands: Any) -> None:
    """Add `unetseg info`."""
    parser = commands.add_parser("info", help="say where a model came from: revision, parameters, data, best epoch")
    parser.add_argument("model", type=Path, metavar="MODEL", help="a .keras file")
    parser.set_defaults(run=_info)


def _info(options: argparse.Namespace) -> None:
    from unetseg.network.modelfile import read_facts  # noqa: PLC0415 - takes seconds

    print(json.dumps(read_facts(options.model), indent=2))


def add_ensemble(commands: Any) -> None:
    """Add `unetseg ensemble`."""
    parser = commands.add_parser(
        "ensemble", help="join models, such as those of some folds or seeds, to one: their mean"
    )
    parser.add_argument("models", type=Path, nargs="+", metavar="MODEL", help="`.keras` files of one input size")
    parser.add_argument("--out", type=Path, required=True, metavar="OUT.keras", help="used as any other model")
    parser.set_defaults(run=_ensemble)


def _ensemble(options: argparse.Namespace) -> None:
    from unetseg.network.ensemble import join_models  # noqa: PLC0415 - takes seconds
    from unetseg.network.modelfile import load_model, read_facts, save_model  # noqa: PLC0415

    joined = join_models([load_model(path) for path in options.models])
    facts = [read_facts(path) for path in options.models]
    kept = {"trained_with": facts[0].get("trained_with", {}), "ensemble": facts}
    save_model(options.out, joined, kept)


def add_export(commands: Any) -> None:
    """Add `unetseg export`."""
    parser = commands.add_parser("export", help="write a model for another runtime, compared with Keras on images")
    parser.add_argument("model", type=Path, metavar="MODEL", help="a .keras file")
    parser.add_argument("--to", choices=("savedmodel", "onnx", "litert"), required=True)
    parser.add_argument("--out", type=Path, required=True, help="a folder, a .onnx or a .tflite file")
    parser.add_argument("--precision", choices=("float32", "float16", "int8"), default="float32", help="LiteRT only")
    parser.add_argument("--images", type=Path, nargs="+", required=True, metavar="IMAGE", help="to compare on")
    parser.set_defaults(run=_export)


def _export(options: argparse.Namespace) -> None:
    import numpy as np  # noqa: PLC0415 - the other commands start faster

    from unetseg.images.pictures import read_image  # noqa: PLC0415
    from unetseg.images.resampling import fit  # noqa: PLC0415
    from unetseg.network.export import export_model  # noqa: PLC0415
    from unetseg.network.modelfile import load_model  # noqa: PLC0415

    model = load_model(options.model)
    images = np.stack([fit(read_image(path), model.input_shape[1]) for path in options.images])
    wanted = {"to": options.to, "precision": options.precision}
    difference, dice = export_model(model, options.out, **wanted, images=images)
    print(f"{options.out}: largest difference {difference:.1e}, Dice against Keras' masks {dice:.5f}")
