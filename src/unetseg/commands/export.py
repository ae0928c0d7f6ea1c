"""`unetseg export`: convert a model for another runtime, and compare it with Keras."""

import argparse
from pathlib import Path

import numpy as np

from unetseg.commands.values import add_channel
from unetseg.export.runtimes import EXPORTS, PRECISIONS, export_model
from unetseg.images.opening import read_image
from unetseg.images.resampling import fit
from unetseg.model.facts import read_facts
from unetseg.model.file import load_model
from unetseg.prediction.settings import seen_by


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", type=Path, metavar="MODEL", help="a .keras file")
    parser.add_argument("--to", choices=EXPORTS, required=True)
    parser.add_argument(
        "--out", type=Path, required=True, help="the file to write: .onnx or .tflite; a folder for savedmodel"
    )
    parser.add_argument("--precision", choices=PRECISIONS, default="float32", help="float16 and int8: only --to litert")
    parser.add_argument(
        "--images",
        type=Path,
        nargs="+",
        required=True,
        metavar="IMAGE",
        help="images to compare on; int8 takes its ranges from them",
    )
    add_channel(parser)
    parser.add_argument("--allow-loss", action="store_true", help="keep an export that costs over 0.005 Dice")


def run(options: argparse.Namespace) -> None:
    model = load_model(options.model)
    channel, project = seen_by(read_facts(options.model), options.channel, options.project)
    seen = (read_image(path, channel=channel, project=project) for path in options.images)
    images = np.stack([fit(image, model.input_shape[1]) for image in seen])
    wanted = {"to": options.to, "precision": options.precision, "allow_loss": options.allow_loss}
    difference, dice = export_model(model, options.out, **wanted, images=images)
    masks = "nothing found in --images to compare masks on"
    if dice is not None:
        masks = f"Dice against Keras' masks {dice:.5f}"
    print(f"{options.out}: largest difference {difference:.1e}, {masks}")
