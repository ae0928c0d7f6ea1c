"""Gather what the folds of a cross-validation scored: the mean and the spread of every number over the folds."""

import statistics
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from unetseg.errors import InputError

FOLDED = ("kfold", "experiment")
METHOD, FOLDS, FOLD = "split.method", "split.folds", "split.fold"
HOW = f"dvc exp run -S {METHOD}=kfold -S '{FOLD}=range(0,5)' --queue, then dvc queue start"


@dataclass(frozen=True)
class Folds:
    """Experiments that differ in nothing but the fold: their common parameters, and the scores of each fold."""

    params: dict[str, Any]
    scores: dict[int, dict[str, float]] = field(default_factory=dict)

    @property
    def missing(self) -> list[int]:
        """Which folds have not been scored."""
        return sorted(set(range(self.params[FOLDS])) - self.scores.keys())


def gather(
    shown: Iterable[Mapping[str, Any]],
    metrics: str,
    params: str = "params.yaml",
    *,
    scored: Callable[[str], bool] = lambda _revision: True,
) -> list[Folds]:
    """Sort experiments by their parameters; of several runs of one fold the newest counts.

    Queued, running and failed experiments count as not scored: what DVC shows of them is the commit's.

    Args:
        shown: what `dvc exp show --json` prints, parsed: revisions with their experiments, the newest first.
        metrics: the metrics file whose numbers are gathered, as dvc.yaml names it.
        params: the parameters file, likewise.
        scored: tells of a finished experiment's revision whether the metrics are its own.

    Raises:
        InputError: if there is no scored experiment with `split.method` kfold.
    """
    found: dict[tuple[tuple[str, str], ...], Folds] = {}
    for data in _experiments(shown):
        settings = dict(_flat(data.get("params", {}).get(params, {}).get("data", {})))
        scores = dict(_flat(data.get("metrics", {}).get(metrics, {}).get("data", {})))
        if settings.get(METHOD) in FOLDED and scores and scored(data["rev"]):
            fold = settings.pop(FOLD)
            folds = found.setdefault(tuple((key, repr(settings[key])) for key in sorted(settings)), Folds(settings))
            numbers = {name: float(value) for name, value in scores.items() if type(value) in (int, float)}
            folds.scores.setdefault(fold, numbers)
    if not found:
        raise InputError(f"no experiment of this commit with {METHOD}=kfold has {metrics}; run: {HOW}")
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


def _experiments(shown: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """Give finished experiments; the metrics of the workspace and of commits may be older than their parameters."""
    for revision in shown:
        for experiment in revision.get("experiments") or []:
            newest = (experiment.get("revs") or [{}])[0]
            state = (experiment.get("executor") or {"state": "success"})["state"]
            if newest.get("data") and state == "success":
                yield newest["data"]


def _flat(content: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """Name nested values as DVC does, with dots."""
    for key, value in content.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{before}{key}.")
        else:
            yield f"{before}{key}", value
