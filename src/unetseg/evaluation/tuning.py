"""Tune threshold and separation on the validation subset, never on the test subset."""

from typing import Any, NamedTuple

import numpy as np

from unetseg.dataset.subsets import Prediction, Subset
from unetseg.errors import InputError
from unetseg.evaluation import scores
from unetseg.evaluation.matching import match_from, mean_average_precision
from unetseg.objects.separation import separated_objects
from unetseg.parallel import in_parallel
from unetseg.progress import progress

THRESHOLDS = tuple(step / 100 for step in range(1, 100))


class Separation(NamedTuple):
    """The parameters of `separated_objects`."""

    depth: float
    min_size: int


# the first of each wins among equals, and serves where there is nothing to choose on
DEPTHS, MIN_SIZES = (1.0, 0.75, 1.5, 2.0, 3.0), (8, 1, 16)
SEPARATIONS = tuple(Separation(depth, size) for depth in DEPTHS for size in MIN_SIZES)


def threshold_curve(subset: Subset) -> list[dict[str, Any]]:
    """Compute the mean scores over the images at each threshold 0.01, 0.02, … 0.99.

    Returns:
        Rows of subset, threshold, dice, iou, precision and recall; none for an empty subset.
    """
    if not len(subset):
        return []
    steps = np.array(THRESHOLDS, np.float32)
    counts = scores.stack([scores.count_at(image.mask, image.probability, steps) for image in subset])
    each = (scores.dice, scores.iou, scores.precision, scores.recall)
    columns = [score(counts).mean(axis=0).tolist() for score in each]
    names = ("subset", "threshold", *(score.__name__ for score in each))
    return [dict(zip(names, (subset.name, *values), strict=True)) for values in zip(THRESHOLDS, *columns, strict=True)]


def best_threshold(curve: list[dict[str, Any]]) -> float:
    """Find the threshold with the best mean Dice, and of ties the one nearest to 0.5.

    Raises:
        InputError: if the curve is that of an empty subset.
    """
    if not curve:
        raise InputError("evaluate.threshold: validation: there is no validation image to choose it on; give a number")
    best = max(curve, key=lambda row: (row["dice"], -abs(row["threshold"] - 0.5)))
    return float(best["threshold"])


def best_separation(subset: Subset, threshold: float) -> Separation:
    """Find the separation of touching objects with the best mean average precision over the images."""
    if not len(subset):
        return SEPARATIONS[0]
    scored = in_parallel(lambda image: _score_separations(image, threshold), subset)
    means = np.mean(list(progress(scored, f"separate objects of {subset.name}", len(subset))), axis=0)
    return SEPARATIONS[int(np.argmax(means))]


def _score_separations(image: Prediction, threshold: float) -> list[float]:
    """Compute the mean average precision of each of `SEPARATIONS`, with one watershed per depth."""
    parted = (separated_objects(image.probability, threshold, depth, min_size=1) for depth in DEPTHS)
    return [mean_average_precision(found) for labels in parted for found in match_from(image.labels, labels, MIN_SIZES)]
