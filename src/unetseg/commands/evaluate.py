"""`unetseg evaluate`: score a model on labelled archives, as the stage of that name scores it on the test subset."""

import argparse
import sys
from pathlib import Path

from unetseg.commands.values import add_channel, share
from unetseg.errors import InputError
from unetseg.files import check_output
from unetseg.prediction.conflicts import check_ours

FILES = ("per_image.csv", "thresholds.csv", "reliability.csv", "report.html")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("archives", nargs="+", type=Path, metavar="ARCHIVE", help="a zip in the pipeline's layout")
    parser.add_argument("--model", type=Path, required=True, metavar="M.keras")
    out_help = (
        "the folder for evaluate.json, per_image.csv, pictures and report.html; several archives: one below for each"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help=out_help)
    tta_help = "average over the 8 flips and quarter turns: 8 times slower; default: the model's own"
    parser.add_argument("--tta", action=argparse.BooleanOptionalAction, help=tta_help)
    parser.add_argument("--threshold", type=share, metavar="P", help="foreground from here; default: the model's own")
    add_channel(parser)
    parser.add_argument("--skip-bad", action="store_true", help="go on without the samples that cannot be used")


def run(options: argparse.Namespace) -> int:
    names = [archive.stem for archive in options.archives]
    if repeated := [name for name in names if names.count(name) > 1]:
        raise InputError(f"two archives are named {repeated[0]}: their results would be in one folder; rename one")
    folders = [options.out / name if len(names) > 1 else options.out for name in names]
    for folder in folders:
        check_folder(folder)
    from unetseg.commands.scoring import open_scorer  # noqa: PLC0415 - takes seconds; a typo is told before

    asked = {name: getattr(options, name) for name in ("tta", "threshold", "channel", "project", "skip_bad")}
    score = open_scorer(options.model, **asked)
    failed = 0
    for archive, folder in zip(options.archives, folders, strict=True):
        try:
            print(score(archive, folder))
        except InputError as error:
            print(error, file=sys.stderr)
            failed = 1
    return failed


def check_folder(folder: Path) -> None:
    """Refuse a folder in which something stands in the place of a result that is not of an earlier evaluation.

    Raises:
        InputError: naming it.
    """
    check_ours(folder, "evaluate.json", (folder / name for name in (*FILES, "plots")))
    check_ours(folder / "plots", "", ())
    for name in ("evaluate.json", *FILES):
        check_output(folder / name)
