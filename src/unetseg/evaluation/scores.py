"""Scores of a predicted mask against the true one: confusion counts first, then pure functions of the counts.

What an empty mask means, everywhere in this project:

| truth | predicted | Dice | IoU | precision | recall | boundary F1 |
| --- | --- | --- | --- | --- | --- | --- |
| empty | empty | 1 | 1 | 1 | 1 | 1 |
| empty | something | 0 | 0 | 0 | 1 | 0 |
| something | empty | 0 | 0 | 0 | 0 | 0 |
"""

from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import Bool, Float, Float32, Int, UInt8

Pixels = int | np.integer | Int[np.ndarray, "..."]


class Counts(NamedTuple):
    """Pixels of one mask, or of many as arrays of one shape; true negatives are not used."""

    true_positive: Pixels
    false_positive: Pixels
    false_negative: Pixels


def count(truth: Bool[np.ndarray, "height width"], predicted: Bool[np.ndarray, "height width"]) -> Counts:
    """Count the pixels of one predicted mask."""
    both = np.count_nonzero(truth & predicted)
    return Counts(both, np.count_nonzero(predicted) - both, np.count_nonzero(truth) - both)


def count_at(
    truth: Bool[np.ndarray, "height width"],
    probability: Float32[np.ndarray, "height width"],
    thresholds: Float32[np.ndarray, " thresholds"],
) -> Counts:
    """Count the pixels of the masks `probability >= threshold` for many thresholds at the cost of two sorts.

    Returns:
        Counts of shape (thresholds,), in the thresholds' order.
    """
    true, every = np.sort(probability[truth]), np.sort(probability, axis=None)
    positive, reached = (each.size - np.searchsorted(each, thresholds) for each in (true, every))
    return Counts(positive, reached - positive, true.size - positive)


def stack(counts: list[Counts]) -> Counts:
    """Stack the counts of many masks along a new first axis."""
    return Counts(*(np.stack(each) for each in zip(*counts, strict=True)))


def pool(counts: Counts) -> Counts:
    """Sum the counts of many masks, as if they were one image."""
    return Counts(*(np.sum(each, axis=0) for each in counts))


def dice(counts: Counts) -> Float[np.ndarray, "..."]:
    """Compute Dice = 2 TP / (2 TP + FP + FN) (Dice 1945, "Measures of the amount of ecologic association")."""
    positive, wrong = 2 * counts.true_positive, counts.false_positive + counts.false_negative
    return _ratio(positive, positive + wrong, 1.0)


def iou(counts: Counts) -> Float[np.ndarray, "..."]:
    """Compute the intersection over union TP / (TP + FP + FN) (Jaccard 1912)."""
    return _ratio(counts.true_positive, sum(counts), 1.0)


def precision(counts: Counts) -> Float[np.ndarray, "..."]:
    """Compute TP / (TP + FP); if nothing is predicted, 1 if the truth is empty too, else 0."""
    nothing_missed = np.equal(counts.false_negative, 0)
    return _ratio(counts.true_positive, counts.true_positive + counts.false_positive, nothing_missed)


def recall(counts: Counts) -> Float[np.ndarray, "..."]:
    """Compute TP / (TP + FN); 1 for an empty truth, because nothing was missed."""
    return _ratio(counts.true_positive, counts.true_positive + counts.false_negative, 1.0)


def boundary_f1(
    truth: Bool[np.ndarray, "height width"], predicted: Bool[np.ndarray, "height width"], tolerance: int = 2
) -> float:
    """Compute the F1 of the boundaries: a boundary pixel is correct if the other boundary is within `tolerance` pixels.

    F1 = 2 P R / (P + R), P the right share of the predicted boundary, R that of the true one (Csurka et al. 2013,
    "What is a good evaluation measure for semantic segmentation?", section 3). The boundary is the foreground with
    background among its 8 neighbours; outside the image is background, so that a full mask has a boundary. The distance
    is Euclidean.
    """
    true_edge, predicted_edge = _boundary(truth), _boundary(predicted)
    true_length, predicted_length = np.count_nonzero(true_edge), np.count_nonzero(predicted_edge)
    if not true_length or not predicted_length:
        return float(true_length == predicted_length)
    reach = np.hypot(*np.ogrid[-tolerance : tolerance + 1, -tolerance : tolerance + 1]) <= tolerance
    right = np.count_nonzero(predicted_edge & cv2.dilate(true_edge, reach.astype(np.uint8))) / predicted_length
    found = np.count_nonzero(true_edge & cv2.dilate(predicted_edge, reach.astype(np.uint8))) / true_length
    return 2 * right * found / (right + found) if right + found else 0.0


def _boundary(mask: Bool[np.ndarray, "height width"]) -> UInt8[np.ndarray, "height width"]:
    pixels = mask.view(np.uint8)
    inside = cv2.erode(pixels, np.ones((3, 3), np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=0)
    return pixels - np.asarray(inside, np.uint8)


def _ratio(part: Pixels, whole: Pixels, empty: float | np.bool_ | Bool[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    """Divide, with `empty` where the denominator is 0."""
    return np.where(whole > 0, part / np.maximum(whole, 1), empty)
