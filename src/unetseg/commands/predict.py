"""`unetseg predict`: masks, objects and tables for new images."""

import argparse
import sys
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unetseg.annotations.formats import FORMATS, WRITABLE
from unetseg.errors import InputError

if TYPE_CHECKING:
    from unetseg.prediction.settings import Scale

PRETRAINED = "pretrained/nuclei.keras"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the subcommand."""
    parser.add_argument("paths", nargs="+", metavar="PATH", help="an image, a folder of images, or a pattern in quotes")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="the folder to write to")
    parser.add_argument("--model", type=Path, metavar="M.keras", help="default: the pretrained model of nuclei")
    scale_help = (
        "resize: fit each image to the model's size; tiles: predict at the image's own size, in tiles; "
        "default: as the model was trained (image.mode)"
    )
    parser.add_argument("--scale", type=_scale, choices=("resize", "tiles"), help=scale_help)
    parser.add_argument("--tta", action="store_true", help="average over the 8 flips and quarter turns; 8 times slower")
    parser.add_argument(
        "--threshold",
        type=_share,
        metavar="P",
        help="probability from which a pixel is foreground; default: the model's own",
    )
    objects_help = "separated: split touching objects; connected: do not; none: only masks, which is fastest"
    parser.add_argument("--objects", choices=("separated", "connected", "none"), default="separated", help=objects_help)
    parser.add_argument(
        "--depth",
        type=_over_zero,
        default=1.0,
        metavar="PIXELS",
        help="minimum depth of the neck at which touching objects are split, in pixels",
    )
    parser.add_argument("--min-size", type=int, default=8, metavar="PIXELS", help="ignore smaller objects")
    channel_help = "a number from 0, or a name from the file's metadata; default: all, the image as it is"
    parser.add_argument("--channel", type=_channel, default="all", metavar="C", help=channel_help)
    project_help = "project z-stacks to one image; default: none, predict each plane"
    parser.add_argument("--project", choices=("none", "max", "mean"), default="none", help=project_help)
    kinds_help = "also write " + "; ".join(f"{kind}: {FORMATS[kind].purpose}" for kind in WRITABLE)
    parser.add_argument("--write", type=_kinds, default=[], metavar="KIND,…", help=kinds_help)
    parser.add_argument("--resume", action="store_true", help="skip images whose results are complete")


def run(options: argparse.Namespace) -> int:
    """Run the subcommand; see `unetseg.cli`."""
    from unetseg.images.inputs import find_inputs  # noqa: PLC0415 - the other commands start faster
    from unetseg.prediction.results import Results  # noqa: PLC0415
    from unetseg.prediction.settings import Settings  # noqa: PLC0415
    from unetseg.progress import progress  # noqa: PLC0415

    try:
        sources = find_inputs(options.paths, options.out, options.channel, options.project)
        from unetseg.model.file import load_model, read_facts  # noqa: PLC0415 - takes seconds; a typo is told before
        from unetseg.prediction.folder import predict_files  # noqa: PLC0415
        from unetseg.prediction.predictor import Predictor  # noqa: PLC0415

        file = options.model or _pretrained()
        model, facts = load_model(file), read_facts(file)
        scale, threshold = options.scale or _trained_scale(facts), options.threshold or facts.get("threshold", 0.5)
        settings = Settings(scale, threshold, options.depth, options.min_size, options.objects, options.tta)
        predictor = Predictor(model, scale, tta=options.tta)
        results = Results(options.out, settings, options.write, file)
        results.check(sources)
        left = [source for source in sources if not (options.resume and results.record(source))]
        outcomes = predict_files(predictor, left, results)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    failed = 0
    for failure in progress(outcomes, "predict", len(left)):
        if failure:
            failed = 1
            print(failure, file=sys.stderr)
    results.gather(sources)
    return failed


def _trained_scale(facts: dict[str, Any]) -> "Scale":
    """Give the scale of what the model was trained on; one without facts saw images of its size."""
    return "tiles" if facts.get("trained_with", {}).get("image", {}).get("mode") == "tiles" else "resize"


def _pretrained() -> Path:
    file = Path(str(files("unetseg"))) / PRETRAINED  # a link to the folder at the top, in a wheel a copy
    if not file.is_file():
        raise InputError(f"{file} is missing; name a model with --model")
    return file


def _scale(word: str) -> str:
    return "tiles" if word == "native" else word  # its former name


def _channel(word: str) -> int | str:
    return int(word) if word.isdecimal() else word


def _share(word: str) -> float:
    if not 0 < float(word) < 1:
        raise ValueError(word)
    return float(word)


def _over_zero(word: str) -> float:
    if not float(word) > 0:
        raise ValueError(word)
    return float(word)


def _kinds(words: str) -> list[str]:
    if unknown := set(words.split(",")) - set(WRITABLE):
        raise argparse.ArgumentTypeError(f"{min(unknown)!r} is not one of {', '.join(WRITABLE)}")
    return words.split(",")
