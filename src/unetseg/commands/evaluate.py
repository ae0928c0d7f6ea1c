"""`unetseg evaluate`: score a model on labelled archives, as the stage of that name scores it on the test subset."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from unetseg.errors import InputError

if TYPE_CHECKING:
    from unetseg.prediction.predictor import Predictor
    from unetseg.prediction.tuning import Tuning

EXAMPLES = 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the subcommand."""
    parser.add_argument("archives", nargs="+", type=Path, metavar="ARCHIVE", help="a zip in the pipeline's layout")
    parser.add_argument("--model", type=Path, required=True, metavar="M.keras")
    out_help = (
        "the folder for evaluate.json, per_image.csv, pictures and report.html; several archives: one below for each"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help=out_help)
    parser.add_argument("--tta", action="store_true", help="average over the 8 flips and quarter turns: 8 times slower")
    parser.add_argument("--threshold", type=float, metavar="P", help="foreground from here; default: the model's own")
    parser.add_argument("--skip-bad", action="store_true", help="go on without the samples that cannot be used")


def run(options: argparse.Namespace) -> int:
    """Run the subcommand; see `unetseg.cli`."""
    from unetseg.model.file import load_model, read_facts  # noqa: PLC0415 - takes seconds; a typo is told before
    from unetseg.prediction.predictor import Predictor  # noqa: PLC0415
    from unetseg.prediction.tuning import find_tuning  # noqa: PLC0415

    names = [archive.stem for archive in options.archives]
    if repeated := [name for name in names if names.count(name) > 1]:
        raise InputError(f"two archives are named {repeated[0]}: their results would be in one folder; rename one")
    if options.threshold is not None and not 0 < options.threshold < 1:
        raise InputError(f"--threshold: {options.threshold:g} is not between 0 and 1")
    model = load_model(options.model)
    tuning, _ = find_tuning(options.model, read_facts(options.model))
    tuning = tuning.model_copy(
        update={"tta": options.tta or tuning.tta, "threshold": options.threshold or tuning.threshold}
    )
    predictor = Predictor(model, tta=tuning.tta)
    failed = 0
    for archive in options.archives:
        out = options.out / archive.stem if len(names) > 1 else options.out
        try:
            _evaluate(predictor, tuning, archive, out, options.skip_bad)
        except InputError as error:
            print(error, file=sys.stderr)
            failed = 1
    return failed


def _evaluate(predictor: "Predictor", tuning: "Tuning", archive: Path, out: Path, skip_bad: bool) -> None:
    """Score one archive and write all that is to be seen of it."""
    from unetseg.config import DataSettings, EvaluateSettings  # noqa: PLC0415
    from unetseg.evaluation.archives import evaluate_archive  # noqa: PLC0415
    from unetseg.files import scratch_folder, write_csv, write_json  # noqa: PLC0415
    from unetseg.report.run import draw_run  # noqa: PLC0415

    data = DataSettings(
        archive=str(archive),
        groups="none",
        on_bad_sample="skip" if skip_bad else "error",
        max_members=1_000_000,
        max_gigabytes=200,
        max_ratio=200,
        channel="all",
        project="none",
    )
    chosen = tuning.model_dump(include={"threshold", "tta"})
    settings = EvaluateSettings(**chosen, bootstrap=2000, seed=0, external=str(archive))
    with scratch_folder(out / ".evaluate.partial") as scratch:
        found = evaluate_archive(predictor, tuning, archive, scratch / "run", data=data, settings=settings)
        write_json(out / "evaluate.json", found.summary)
        tables = {"per_image": found.per_image, "thresholds": found.thresholds, "reliability": found.reliability}
        for name, rows in tables.items():
            write_csv(out / f"{name}.csv", rows, list(rows[0]))
        draw_run(
            out / "plots",
            out / "report.html",
            arrays=scratch / "run" / "arrays",
            predictions=scratch / "run" / "predictions",
            scores=found.summary,
            history=None,
            params={},
            examples=EXAMPLES,
            title=archive.stem,
            **{name: out / f"{name}.csv" for name in tables},
        )
    dice, objects = found.summary["dice"], found.summary["objects"]
    interval = "" if dice["low"] is None else f" (95 % interval {dice['low']:.3f} to {dice['high']:.3f})"
    of_what = f"object F1 {objects['f1_50']:.3f}, {found.summary['images']} images"
    print(f"{archive}: Dice {dice['mean']:.3f}{interval}, {of_what}")
