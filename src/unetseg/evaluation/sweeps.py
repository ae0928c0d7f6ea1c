"""Gather the scored experiments of a sweep, and summarise Dice by what was varied."""

import statistics
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from unetseg.errors import InputError

REPEATS = ("split.fold", "split.seed", "train.seed")  # runs that differ in these alone repeat each other
DICE = "dice.mean"


class Run(NamedTuple):
    """A scored experiment; parameters and scores are flat, named with dots as DVC does."""

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
    params: str = "params.yaml",
    *,
    scored: Callable[[str], bool] = lambda _revision: True,
) -> Sweep:
    """Read the experiments of a commit.

    Queued, running and failed experiments are not scored: what DVC shows of them are the commit's metrics. The
    workspace and commits do not count either: their metrics may be older than their parameters.

    Args:
        shown: what `dvc exp show --json` prints, parsed: revisions with their experiments, the newest first.
        metrics: the metrics file whose numbers are gathered, as dvc.yaml names it.
        params: the parameters file, likewise.
        scored: tells of a finished experiment's revision whether the metrics are its own.
    """
    runs, unfinished = [], {}
    for experiment in (each for revision in shown for each in revision.get("experiments") or []):
        newest = (experiment.get("revs") or [{}])[0]
        name = experiment.get("name") or newest.get("rev", "")[:7]
        state, data = (experiment.get("executor") or {"state": "success"})["state"], newest.get("data")
        if state != "success" or not data:
            unfinished[name] = state if state != "success" else "failed"
            continue
        settings, scores = (
            dict(flat(data.get(kind, {}).get(file, {}).get("data", {})))
            for kind, file in (("params", params), ("metrics", metrics))
        )
        if scores and scored(data["rev"]):
            numbers = {key: float(value) for key, value in scores.items() if type(value) in (int, float)}
            runs.append(Run(name, settings, numbers))
        else:
            unfinished[name] = f"has no {metrics} of its own"
    return Sweep(runs, unfinished)


def varied(runs: Sequence[Run]) -> list[str]:
    """Name the parameters whose values differ between the runs."""
    names = dict.fromkeys(name for run in runs for name in run.params)
    return [name for name in names if len({repr(run.params.get(name)) for run in runs}) > 1]


def summary(runs: Sequence[Run]) -> Iterator[str]:
    """Print as a table: the Dice of the runs with the same values, whatever their fold and seeds; the best first.

    Raises:
        InputError: if there is no run.
    """
    if not runs:
        raise InputError("no experiment of this commit is scored; run a sweep: unetseg sweep -S train.epochs=10,30")
    names = varied(runs)
    told = [name for name in names if name not in REPEATS]
    alike: dict[tuple[str, ...], list[float]] = {}
    for run in runs:
        alike.setdefault(tuple(str(run.params.get(name)) for name in told), []).append(run.scores[DICE])
    yield f"{len(runs)} run{'s' * (len(runs) > 1)}; varied: {', '.join(names) or 'nothing'}"
    rows = [[*told, "runs", DICE, "deviation", "lowest", "highest"]]
    for values, dice in sorted(alike.items(), key=lambda item: -statistics.fmean(item[1])):
        spread = statistics.stdev(dice) if len(dice) > 1 else float("nan")
        numbers = (statistics.fmean(dice), spread, min(dice), max(dice))
        rows.append([*values, str(len(dice)), *(f"{number:.4g}" for number in numbers)])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(f"{value:>{width}}" for value, width in zip(row, widths, strict=True))


def flat(content: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """Name nested values as DVC does, with dots."""
    for key, value in content.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{before}{key}.")
        else:
            yield f"{before}{key}", value
