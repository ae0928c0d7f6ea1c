"""Draw a score against each value that a sweep varied."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from unetseg.report.look import BLUE, GREY, picture


def draw_sweep(path: Path, runs: Sequence[Mapping[str, Any]], names: Sequence[str], score: str) -> None:
    """Draw one panel per varied parameter: each run as a point, and the mean score of the runs with one value."""
    with picture(path) as figure:
        figure.set_size_inches(figure.get_figwidth(), 2.4 * len(names))
        for axes, name in zip(np.atleast_1d(figure.subplots(len(names), 1, sharey=True)), names, strict=True):
            values, scores = ([run[each] for run in runs] for each in (name, score))
            numeric = all(type(value) in (int, float) for value in values)
            places = values if numeric else [str(value) for value in values]
            order = sorted(set(places))
            means = [np.mean([each for each, at in zip(scores, places, strict=True) if at == value]) for value in order]
            axes.plot(places, scores, "o", color=GREY, label="a run")
            axes.plot(order, means, "D-" if numeric else "D", color=BLUE, label="mean")
            axes.set(xlabel=name, ylabel=score)
        figure.axes[0].legend()
