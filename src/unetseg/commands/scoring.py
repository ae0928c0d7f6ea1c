"""Score a model on a labelled archive, and write all that is to be seen of it."""

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from unetseg.commands.evaluate import check_folder
from unetseg.commands.values import told_values
from unetseg.config import LIMITS, DataSettings
from unetseg.evaluation.archives import evaluate_archive
from unetseg.files import atomic_path, check_lost, scratch_folder, write_csv, write_json
from unetseg.images.stacks import Channel, Project
from unetseg.model.facts import read_facts
from unetseg.model.file import load_model
from unetseg.prediction.conflicts import in_turn
from unetseg.prediction.predictor import Predictor
from unetseg.prediction.settings import Tuning, find_tuning, seen_by
from unetseg.report.run import draw_run

EXAMPLES = 3


def open_scorer(
    model: Path,
    *,
    tta: bool | None = None,
    threshold: float | None = None,
    channel: Channel | None = None,
    project: Project | None = None,
    skip_bad: bool = False,
) -> Callable[[Path, Path], str]:
    """Load a model to score archives with.

    Args:
        model: the .keras file.
        tta: whether to average over flips and quarter turns; None: as the model's own values say.
        threshold: probability from which a pixel is foreground; None: the model's own.
        channel: what of each image to look at; None: as the model was trained. See `unetseg.images.stacks`.
        project: how depth becomes one image; None: likewise.
        skip_bad: whether to go on without the samples that cannot be used.

    Returns:
        A function of an archive and a folder to fill; it gives a line for people.
    """
    facts = read_facts(model)
    known, source = find_tuning(model, facts)
    tuning = known.changed(tta=tta, threshold=threshold)
    given = [name for name, value in (("threshold", threshold), ("tta", tta)) if value is not None]
    print(told_values(tuning, given, source), file=sys.stderr)
    channel, project = seen_by(facts, channel, project)
    data = DataSettings(
        archive="none",
        groups="none",
        on_bad_sample="skip" if skip_bad else "error",
        channel=channel,
        project=project,
        **LIMITS,
    )
    return partial(_score, Predictor(load_model(model), tta=tuning.tta), tuning, data)


def _score(predictor: Predictor, tuning: Tuning, data: DataSettings, archive: Path, out: Path) -> str:
    with scratch_folder(out) as scratch:
        run, results = scratch / "run", scratch / "results"
        found = evaluate_archive(predictor, tuning, archive, run, data=data, setting=None, bootstrap=2000, seed=0)
        write_json(results / "evaluate.json", found.summary)
        tables = {"per_image": found.per_image, "thresholds": found.thresholds, "reliability": found.reliability}
        for name, rows in tables.items():
            write_csv(results / f"{name}.csv", rows, list(rows[0]))
        draw_run(
            results / "plots",
            results / "report.html",
            arrays=run / "arrays",
            predictions=run / "predictions",
            scores=found.summary,
            history=None,
            params={},
            examples=EXAMPLES,
            title=archive.stem,
            **{name: results / f"{name}.csv" for name in tables},
        )
        with in_turn(out):
            _move(results, out, scratch / "old")
    dice, objects = found.summary["dice"], found.summary["objects"]
    interval = "" if dice["low"] is None else f" (95 % interval {dice['low']:.3f} to {dice['high']:.3f})"
    own = found.summary["native"]["dice"]["mean"]
    of_what = f"{own:.3f} at the images' own, object F1 {objects['f1_50']:.3f}, {found.summary['images']} images"
    return f"{archive}: Dice {dice['mean']:.3f}{interval} at the model's size, {of_what}"


def _move(results: Path, out: Path, old: Path) -> None:
    """Move results to `out`, after those of an earlier run have gone to `old`: stopped at any time, no two runs mix."""
    check_folder(out)
    check_lost(out / "plots", results / "plots")
    old.mkdir()
    names = sorted(path.name for path in results.iterdir())  # first evaluate.json, by which the folder is known
    for name in reversed(names):
        if (out / name).exists():
            (out / name).rename(old / name)
    for name in names:
        with atomic_path(out / name) as beside:
            (results / name).rename(beside)
