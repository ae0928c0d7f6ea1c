"""`unetseg predict`: masks, objects and tables for new images."""

import argparse
from contextlib import ExitStack
from pathlib import Path

from unetseg.annotations.formats import FORMATS, WRITABLE
from unetseg.commands.values import PROJECTIONS, channel, number, over_zero, share
from unetseg.images.storage import place


def add_arguments(parser: argparse.ArgumentParser) -> None:
    paths_help = "an image, a folder of images, a pattern in quotes, or a URL such as s3://bucket/plates"
    parser.add_argument("paths", nargs="+", metavar="PATH", help=paths_help)
    parser.add_argument("--out", type=place, required=True, metavar="DIR", help="the folder or URL to write to")
    parser.add_argument("--model", type=Path, metavar="M.keras", help="default: the pretrained model of nuclei")
    scale_help = (
        "resize: fit each image to the model's size; tiles: its own size, in tiles; auto (default): as in training for "
        "images of sizes that the model was trained on, else at the zoom at which the model is most certain"
    )
    parser.add_argument("--scale", type=_scale, choices=("auto", "resize", "tiles"), default="auto", help=scale_help)
    zoom_help = "enlarge images by this factor for the model; auto (default): as --scale says"
    parser.add_argument("--zoom", type=_zoom, metavar="F", help=zoom_help)
    pixel_help = "size of the images' pixels, in place of what their files say; needs a model that knows its own"
    parser.add_argument("--pixel-size", type=over_zero, metavar="MICROMETRES", help=pixel_help)
    tta_help = "average over the 8 flips and quarter turns: 8 times slower; default: as evaluated"
    parser.add_argument("--tta", action=argparse.BooleanOptionalAction, help=tta_help)
    parser.add_argument(
        "--threshold",
        type=share,
        metavar="P",
        help="probability from which a pixel is foreground; default: as evaluated, else 0.5",
    )
    objects_help = "separated: split touching objects; connected: do not; none: only masks, which is fastest"
    parser.add_argument("--objects", choices=("separated", "connected", "none"), default="separated", help=objects_help)
    depth_help = (
        "minimum depth of the neck at which touching objects are split, in pixels that the model sees; "
        "default: as evaluated, else 1"
    )
    parser.add_argument("--depth", type=over_zero, metavar="PIXELS", help=depth_help)
    size_help = "ignore smaller objects, in pixels that the model sees; default: as evaluated, else 8"
    parser.add_argument("--min-size", type=_count, metavar="PIXELS", help=size_help)
    channel_help = "a number from 0, a name from the file's metadata, or all: the image as it is"
    parser.add_argument("--channel", type=channel, metavar="C", help=f"{channel_help}; default: as trained")
    project_help = "project z-stacks to one image, or none: predict each plane; default: as trained"
    parser.add_argument("--project", choices=PROJECTIONS, help=project_help)
    kinds_help = "also write " + "; ".join(f"{kind}: {FORMATS[kind].purpose}" for kind in WRITABLE)
    parser.add_argument("--write", type=_kinds, default=[], metavar="KIND,…", help=kinds_help)
    dask_help = "predict on a Dask cluster: the address of its scheduler, or local:N for N processes of this computer"
    parser.add_argument("--dask", metavar="ADDRESS", help=dask_help)
    parser.add_argument("--resume", action="store_true", help="skip images whose results are complete")


def run(options: argparse.Namespace) -> int:
    from unetseg.commands.predicting import predict  # noqa: PLC0415 - takes seconds; a typo is told before

    with ExitStack() as held:
        return predict(options, held)


def _scale(word: str) -> str:
    return "tiles" if word == "native" else word  # its former name


def _zoom(word: str) -> float | None:
    if word == "auto":
        return None
    return number(word, 1 / 64, 64.0, "auto, or a number from 1/64 to 64")


def _count(word: str) -> int:
    if word.isdecimal():
        return int(word)
    raise argparse.ArgumentTypeError(f"{word!r} is not a whole number from 0 up")


def _kinds(words: str) -> list[str]:
    if unknown := set(words.split(",")) - set(WRITABLE):
        raise argparse.ArgumentTypeError(f"{min(unknown)!r} is not one of {', '.join(WRITABLE)}")
    return words.split(",")
