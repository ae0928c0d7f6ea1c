"""Score a model on a labelled archive, and write all that is to be seen of it."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from unetseg.config import DataSettings
from unetseg.evaluation.archives import evaluate_archive
from unetseg.files import scratch_folder, write_csv, write_json
from unetseg.model.facts import read_facts
from unetseg.model.file import load_model
from unetseg.prediction.predictor import Predictor
from unetseg.prediction.settings import Tuning, find_tuning
from unetseg.report.run import draw_run

EXAMPLES = 3


def open_scorer(model: Path, *, tta: bool, threshold: float | None, skip_bad: bool) -> Callable[[Path, Path], str]:
    """Load a model to score archives with.

    Args:
        model: the .keras file.
        tta: whether to average over flips and quarter turns, also where the model's own values do not say so.
        threshold: probability from which a pixel is foreground; None: the model's own.
        skip_bad: whether to go on without the samples that cannot be used.

    Returns:
        A function of an archive and a folder to fill; it gives a line for people.
    """
    known, _ = find_tuning(model, read_facts(model))
    changed = {"tta": tta or known.tta, "threshold": threshold or known.threshold}
    tuning = known.model_copy(update=changed)
    return partial(_score, Predictor(load_model(model), tta=tuning.tta), tuning, skip_bad)


def _score(predictor: Predictor, tuning: Tuning, skip_bad: bool, archive: Path, out: Path) -> str:
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
    with scratch_folder(out / ".evaluate.partial") as scratch:
        found = evaluate_archive(predictor, tuning, archive, scratch / "run", data=data, bootstrap=2000, seed=0)
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
    return f"{archive}: Dice {dice['mean']:.3f}{interval}, {of_what}"
