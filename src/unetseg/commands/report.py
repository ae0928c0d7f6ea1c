"""`unetseg report`: write an HTML page to look through predictions."""

import argparse
from pathlib import Path

from unetseg.progress import progress
from unetseg.report.page import write_report
from unetseg.report.predicted import predicted_entries, read_predictions


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, metavar="DIR", help="the folder that `unetseg predict --out DIR` wrote")


def run(options: argparse.Namespace) -> None:
    folder: Path = options.folder
    run = read_predictions(folder)
    images = run.pop("images")
    entries = progress(predicted_entries(folder, images), "report", len(images))
    words = {"title": f"Predictions in {folder.resolve().name}", "subtitle": "What the model found in each image."}
    write_report(folder / "report.html", entries, total=len(images), metrics={}, params=run, history=[], **words)
    print(folder / "report.html")
