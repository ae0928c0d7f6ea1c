"""Scores of predicted against true objects, from the overlap of pairs.

A predicted object is right if its IoU with a true one is greater than a threshold of at least 0.5; at most one pair can
be so for either object, hence no assignment problem. An image without objects, predicted without objects, scores 1.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float64, Integer
from skimage.metrics import contingency_table

BOWL_THRESHOLDS = tuple(step / 20 for step in range(10, 20))  # 0.5, 0.55, … 0.95


class Match(NamedTuple):
    """The objects of one image: IoU of each pair with IoU over 0.5, number of true and of predicted objects."""

    ious: Float64[np.ndarray, " pairs"]
    true: int
    predicted: int


def match(truth: Integer[np.ndarray, "height width"], predicted: Integer[np.ndarray, "height width"]) -> Match:
    """Pair the objects of two label images (0 background; numbers may have gaps)."""
    table = contingency_table(truth, predicted)
    true_areas, predicted_areas = (np.asarray(table.sum(axis=axis)).ravel() for axis in (1, 0))
    pairs = table.tocoo()
    areas = true_areas[pairs.row], predicted_areas[pairs.col]
    ious = np.where((pairs.row > 0) & (pairs.col > 0), pairs.data / (areas[0] + areas[1] - pairs.data), 0)
    counts = (int(np.count_nonzero(each[1:])) for each in (true_areas, predicted_areas))
    return Match(ious[ious > 0.5], *counts)


def f1(matched: Match, threshold: float) -> float:
    """Compute F1 = 2 TP / (true + predicted objects) of the pairs with IoU over the threshold, 0.5 or more."""
    objects = matched.true + matched.predicted
    return 2 * np.count_nonzero(matched.ious > threshold) / objects if objects else 1.0


def mean_average_precision(matched: Match) -> float:
    """Compute the image's score in the 2018 Data Science Bowl: TP / (TP + FP + FN), averaged over ten thresholds.

    Caicedo et al. 2019, "Nucleus segmentation across imaging experiments: the 2018 Data Science Bowl", and the rules of
    the competition: IoU greater than 0.5, 0.55, … 0.95.
    """
    right = np.array([np.count_nonzero(matched.ious > threshold) for threshold in BOWL_THRESHOLDS])
    objects = matched.true + matched.predicted
    return float(np.mean(right / (objects - right))) if objects else 1.0


def panoptic_quality(matched: Match) -> float:
    """Compute PQ = sum of the matched pairs' IoU / (TP + FP / 2 + FN / 2).

    Kirillov et al. 2019, "Panoptic segmentation", equation 1.
    """
    objects = matched.true + matched.predicted
    return 2 * float(matched.ious.sum()) / objects if objects else 1.0
