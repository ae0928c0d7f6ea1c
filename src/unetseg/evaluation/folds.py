"""Gather what the folds of a cross-validation scored: the mean and the spread of every number over the folds."""

import statistics
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from unetseg.config import FOLDED
from unetseg.errors import InputError
from unetseg.evaluation.sweeps import Run

METHOD, FOLDS, FOLD = "split.method", "split.folds", "split.fold"
HOW = f"unetseg sweep -S {METHOD}=kfold -S '{FOLD}=range(0,5)'"


@dataclass(frozen=True)
class Folds:
    """Experiments that differ in nothing but the fold: their common parameters, and the scores of each fold."""

    params: dict[str, Any]
    scores: dict[int, dict[str, float]] = field(default_factory=dict)

    @property
    def missing(self) -> list[int]:
        """Which folds have not been scored."""
        return sorted(set(range(self.params[FOLDS])) - self.scores.keys())


def gather(runs: Iterable[Run]) -> list[Folds]:
    """Sort the runs of a cross-validation by their parameters; of several runs of one fold the newest counts.

    Args:
        runs: scored experiments, the newest first.

    Raises:
        InputError: if no run has a `split.method` with folds.
    """
    found: dict[tuple[tuple[str, str], ...], Folds] = {}
    for run in runs:
        if run.params.get(METHOD) in FOLDED:
            settings = {key: value for key, value in run.params.items() if key != FOLD}
            folds = found.setdefault(tuple((key, repr(settings[key])) for key in sorted(settings)), Folds(settings))
            folds.scores.setdefault(run.params[FOLD], run.scores)
    if not found:
        raise InputError(f"no scored experiment of this commit has {METHOD}=kfold; run: {HOW}")
    return list(found.values())


def lines(gathered: list[Folds]) -> Iterator[str]:
    """Print as a table: of each number that every fold has its mean, standard deviation, lowest and highest."""
    for folds in gathered:
        told = [f"{name}={value}" for name, value in folds.params.items() if _differs(name, gathered)]
        unseen = " over experiments (scores on experiments that the model has not seen)"
        what = f"folds{unseen if folds.params[METHOD] == 'experiment' else ''}"
        yield " ".join([f"{len(folds.scores)} of {folds.params[FOLDS]} {what}", *told])
        names = [name for name in next(iter(folds.scores.values())) if all(name in s for s in folds.scores.values())]
        width = max(map(len, ["", *names]))
        yield f"{'':<{width}} {'mean':>10} {'deviation':>10} {'lowest':>10} {'highest':>10}"
        for name in names:
            values = [scores[name] for scores in folds.scores.values()]
            spread = statistics.stdev(values) if len(values) > 1 else float("nan")
            numbers = (statistics.fmean(values), spread, min(values), max(values))
            yield " ".join([f"{name:<{width}}", *(f"{number:>10.4g}" for number in numbers)])


def _differs(name: str, gathered: list[Folds]) -> bool:
    return len({repr(folds.params.get(name)) for folds in gathered}) > 1
