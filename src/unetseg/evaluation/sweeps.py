"""Gather the scored experiments of DVC: those of a sweep by what was varied, those of a cross-validation by its folds.

DVC shows the files of the commit that an experiment started from for as long as its own are not there: for queued,
running and failed work, and for experiments that ran only some stages. `unfinished` tells these.
"""

import os
import statistics
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from unetseg.config import FOLDED
from unetseg.errors import InputError
from unetseg.provenance import digest

REPEATS = ("split.fold", "split.seed", "train.seed")  # runs that differ in these alone repeat each other
DICE, NATIVE_DICE = "dice.mean", "native.dice.mean"
METHOD, FOLDS, FOLD = "split.method", "split.folds", "split.fold"
START, LAST, TRAIN = "train.start_from", "models/unet_model.keras", "metrics/train.json"
BEGUN = "hash of data and start model"  # of runs that start from the last model: after each training it is another
UNTOLD = f"{START}={LAST} is the last model when a run began"
HOW = f"unetseg sweep -S {METHOD}=kfold -S '{FOLD}=range(0,5)'"


class Run(NamedTuple):
    """A scored experiment; parameters and scores are flat, named with dots as DVC does.

    What it was made from counts as parameters, too: the first digits of the hash of each file, and of all code.
    """

    name: str
    params: dict[str, Any]
    scores: dict[str, float]


class Sweep(NamedTuple):
    """The scored experiments of a commit, the newest first, and the state of the others by name."""

    runs: list[Run]
    unfinished: dict[str, str]


def read_sweep(
    shown: Iterable[Mapping[str, Any]],
    metrics: str,
    *,
    data: Sequence[str] = (),
    code: tuple[str, ...] = (),
    scored: Callable[[str], bool] = lambda _revision: True,
    but: Collection[str] = (),
    names: Collection[str] | None = None,
) -> Sweep:
    """Read the experiments of a commit.

    Queued, running and failed experiments are not scored: what DVC shows of them are the commit's metrics. The
    workspace and commits do not count either: their metrics may be older than their parameters.

    Args:
        shown: what `dvc exp show --json` prints, parsed: revisions with their experiments, the newest first.
        metrics: the metrics file whose numbers are gathered, as dvc.yaml names it.
        data: files and folders, as dvc.yaml names them, and parameters that name files: runs on others are of other
            data.
        code: how the deps begin that are code: runs of other code are told apart, too.
        scored: tells of a finished experiment's revision whether the metrics are its own.
        but: revisions of experiments to pass over.
        names: those of the experiments to read; None for all.
    """
    runs, unfinished = [], {}
    for experiment, newest in experiments(shown):
        name = experiment.get("name") or newest.get("rev", "")[:7]
        if newest.get("rev") in but or (names is not None and name not in names):
            continue
        state, shows = (experiment.get("executor") or {"state": "success"})["state"], newest.get("data")
        if state != "success" or not shows:
            unfinished[name] = state if state != "success" else "failed"
            continue
        settings, scores = (
            dict(flat(shows.get(kind, {}).get(file, {}).get("data", {})))
            for kind, file in (("params", "params.yaml"), ("metrics", metrics))
        )
        deps = shows.get("deps") or {}
        files = {**(shows.get("outs") or {}), **deps}
        for each in data:
            given = str(settings.get(each, each))
            if found := files.get(given) or files.get(Path(os.path.relpath(given)).as_posix()):
                settings[f"hash of {each}"] = str(found.get("hash"))[:7]
        if _starts_from_last(settings):
            trained = dict(flat(shows.get("metrics", {}).get(TRAIN, {}).get("data", {})))
            settings[BEGUN] = str(trained.get("run.data"))[:7]
        if parts := {path: dep.get("hash") for path, dep in deps.items() if path.startswith(code)}:
            settings["hash of code"] = digest(parts)[:7]
        if scores and scored(shows["rev"]):
            numbers = {key: float(value) for key, value in scores.items() if type(value) in (int, float)}
            runs.append(Run(name, settings, numbers))
        else:
            unfinished[name] = f"has no {metrics} of its own"
    return Sweep(runs, unfinished)


def experiments(shown: Iterable[Mapping[str, Any]]) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    """Give each experiment that `dvc exp show --json` prints, and its newest revision: a name may be used again."""
    for revision in shown:
        for experiment in revision.get("experiments") or []:
            yield experiment, (experiment.get("revs") or [{}])[0]


def newest_alone(runs: Iterable[Run]) -> list[Run]:
    """Leave out runs, given the newest first, that a newer one repeats: with the same values, data and code."""
    kept: list[Run] = []
    for run in runs:
        if all(run.params != each.params for each in kept):
            kept.append(run)
    return kept


def varied(runs: Sequence["Run | Folds"]) -> list[str]:
    """Name the parameters whose values differ between the runs."""
    names = dict.fromkeys(name for run in runs for name in run.params)
    return [name for name in names if len({repr(run.params.get(name)) for run in runs}) > 1]


def _starts_from_last(params: Mapping[str, Any]) -> bool:
    start = params.get(START)
    return bool(start) and Path(os.path.relpath(str(start))).as_posix() == LAST


def compared_by(names: Collection[str]) -> str:
    """Name the score by which runs are compared that differ in these: arrays of two sizes have two truths."""
    return NATIVE_DICE if "image.size" in names else DICE


def summary(runs: Sequence[Run]) -> Iterator[str]:
    """Print as a table: the Dice of the runs with the same values, whatever their fold and seeds; the best first.

    Raises:
        InputError: if there is no run.
    """
    if not runs:
        raise InputError("no experiment of this commit is scored; run a sweep: unetseg sweep -S train.epochs=10,30")
    names = varied(runs)
    told = [name for name in names if name not in REPEATS]
    splits = {FOLD, "split.seed"} & set(varied([run for run in runs if _starts_from_last(run.params)]))
    if splits and BEGUN in told:
        told.remove(BEGUN)  # it differs with the split alone, too
    score, alike = compared_by(names), dict[tuple[str, ...], list[float]]()
    for run in runs:
        alike.setdefault(tuple(str(run.params.get(name)) for name in told), []).append(run.scores[score])
    yield f"{len(runs)} run{'s' * (len(runs) > 1)}; varied: {', '.join(names) or 'nothing'}"
    without_test = {run.params.get("split.test") == 0 and run.params.get(METHOD) not in FOLDED for run in runs}
    if len(without_test) > 1:
        yield "with split.test=0 the Dice is that of evaluate.external, not of a test subset: do not compare the two"
    if splits:
        yield f"{UNTOLD}: runs of one row may have begun from different ones"
    rows = [[*told, "runs", score, "deviation", "lowest", "highest"]]
    for values, dice in sorted(alike.items(), key=lambda item: -statistics.fmean(item[1])):
        rows.append([*values, str(len(dice)), *(f"{number:.4g}" for number in _spread(dice))])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(f"{value:>{width}}" for value, width in zip(row, widths, strict=True))


@dataclass(frozen=True)
class Folds:
    """Experiments that differ in nothing but the fold: their common parameters, and the scores of each fold."""

    params: dict[str, Any]
    scores: dict[int, dict[str, float]] = field(default_factory=dict)

    @property
    def missing(self) -> list[int]:
        """Which folds have not been scored."""
        return sorted(set(range(self.params[FOLDS])) - self.scores.keys())


def gather_folds(runs: Iterable[Run]) -> list[Folds]:
    """Sort the runs of a cross-validation, newest first, by their parameters; of several of a fold the newest counts.

    Raises:
        InputError: if no run has a `split.method` with folds.
    """
    found: dict[tuple[tuple[str, str], ...], Folds] = {}
    for run in runs:
        if run.params.get(METHOD) in FOLDED:
            settings = {key: value for key, value in run.params.items() if key not in (FOLD, BEGUN)}
            folds = found.setdefault(tuple((key, repr(settings[key])) for key in sorted(settings)), Folds(settings))
            folds.scores.setdefault(run.params[FOLD], run.scores)
    if not found:
        raise InputError(f"no scored experiment of this commit has {METHOD}=kfold; run: {HOW}")
    return list(found.values())


def fold_lines(gathered: list[Folds]) -> Iterator[str]:
    """Print as a table: of each number its mean, standard deviation, lowest and highest over the folds that have it.

    How many these are stands behind the name of a number that some lack.
    """
    differing = varied(gathered)
    if any(_starts_from_last(folds.params) for folds in gathered):
        yield f"{UNTOLD}: the folds may have begun from different ones; of several runs of a fold the newest counts"
    for folds in gathered:
        told = [f"{name}={value}" for name, value in folds.params.items() if name in differing]
        unseen = " over experiments (scores on experiments that the model has not seen)"
        what = f"folds{unseen if folds.params[METHOD] == 'experiment' else ''}"
        yield " ".join([f"{len(folds.scores)} of {folds.params[FOLDS]} {what}", *told])
        rows = {}
        for name in score_names(folds.scores.values()):
            values = [scores[name] for scores in folds.scores.values() if name in scores]
            some = f" ({len(values)} of {len(folds.scores)} folds)" * (len(values) < len(folds.scores))
            rows[f"{name}{some}"] = _spread(values)
        width = max(map(len, ["", *rows]))
        yield f"{'':<{width}} {'mean':>10} {'deviation':>10} {'lowest':>10} {'highest':>10}"
        for name, numbers in rows.items():
            yield " ".join([f"{name:<{width}}", *(f"{number:>10.4g}" for number in numbers)])


def score_names(scores: Iterable[Mapping[str, float]]) -> list[str]:
    """Name the scores that any of several runs has: one whose test subset lacks a kind or source has none of it."""
    return list(dict.fromkeys(name for each in scores for name in each))


def _spread(values: Sequence[float]) -> tuple[float, float, float, float]:
    """Give mean, standard deviation, least and greatest of some numbers."""
    deviation = statistics.stdev(values) if len(values) > 1 else float("nan")
    return statistics.fmean(values), deviation, min(values), max(values)


def flat(content: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """Name nested values as DVC does, with dots."""
    for key, value in content.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{before}{key}.")
        else:
            yield f"{before}{key}", value


def unfinished(
    lock: Mapping[str, Any],
    params: Mapping[str, Any],
    result: str,
    hash_of: Callable[[Mapping[str, Any]], str | None] = lambda _dep: None,
) -> list[str]:
    """List parameters, data and stage outputs of a revision that differ from those its result was made from.

    Args:
        lock: the revision's dvc.lock, parsed.
        params: its params.yaml, parsed.
        result: an output as dvc.yaml names it.
        hash_of: gives the MD5 of a dep (as dvc.lock lists it) that no stage makes, if the revision holds it.

    Returns:
        A parameter or a path for each difference in the stages that lead to the result; none where they cannot tell.
    """
    stages: Mapping[str, Any] = lock.get("stages") or {}
    made = {out["path"]: (name, out) for name, stage in stages.items() for out in stage.get("outs", ())}
    return sorted(set(_differences(stages, made, params, made[result][0], hash_of))) if result in made else []


def _differences(
    stages: Mapping[str, Any],
    made: Mapping[str, tuple[str, Mapping[str, Any]]],
    params: Mapping[str, Any],
    name: str,
    hash_of: Callable[[Mapping[str, Any]], str | None],
) -> Iterator[str]:
    for file in stages[name].get("params", {}).values():
        yield from (key for key, value in file.items() if _lookup(params, key) != value)
    for dep in stages[name].get("deps", ()):
        if dep["path"] in made:
            maker, out = made[dep["path"]]
            if out.get("md5") != dep.get("md5"):
                yield dep["path"]
            yield from _differences(stages, made, params, maker, hash_of)
        elif hash_of(dep) not in (None, dep.get("md5")):
            yield dep["path"]


def _lookup(params: Mapping[str, Any], key: str) -> Any:
    value: Any = params
    for part in key.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value
