"""`unetseg report`: write an HTML page to look through predictions."""

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from unetseg.progress import progress
from unetseg.report.entries import worst_and_sample
from unetseg.report.page import write_report
from unetseg.report.predicted import predicted_entries, read_predictions


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, metavar="DIR", help="the folder that `unetseg predict --out DIR` wrote")


def run(options: argparse.Namespace) -> None:
    folder: Path = options.folder
    run = read_predictions(folder)
    images = run.pop("images")
    words = {"title": f"Predictions in {folder.resolve().name}", "subtitle": "What the model found in each image."}
    shown = worst_and_sample(sorted(images, key=_estimate))
    if len(shown) < len(images):
        half = len(shown) // 2
        words["subtitle"] = f"Of {len(images)} images the {half} least certain and an even sample of {half} others."
        print(f"{folder}: {words['subtitle']}", file=sys.stderr)
        images = shown
    entries = progress(predicted_entries(folder, images), "report", len(images))
    write_report(folder / "report.html", entries, total=len(images), metrics={}, params=run, history=[], **words)
    print(folder / "report.html")


def _estimate(image: Mapping[str, Any]) -> float:
    """Give the estimated Dice; 0 where there is none, so that the image is shown."""
    found = image.get("estimated_dice")
    return found if isinstance(found, int | float) else 0.0
