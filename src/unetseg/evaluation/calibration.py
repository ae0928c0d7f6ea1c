"""Calibration: whether four in five pixels with probability 0.8 are foreground, and the estimated Dice of an image.

The estimate is calibrated on the validation images, and scored on the test images as any other prediction. Of both
only those count in which something is predicted: else the estimate is 0, for want of anything to tell from.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32, Float64
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score

from unetseg.prediction.quality import FINE, LEAST, Estimate

BINS = 15
FEWEST = 8  # images to calibrate the estimate on; with fewer, the stability is used as it is
RARE = 0.02  # share of the validation images that may count as unlike themselves


def tally(
    truth: Bool[np.ndarray, "height width"], probability: Float32[np.ndarray, "height width"]
) -> Float64[np.ndarray, "3 bins"]:
    """Count pixels, sum of probabilities and foreground in 15 equal bins of probability.

    Tallies of several images add up to the tally of all their pixels.
    """
    bins = np.minimum((probability * BINS).astype(np.intp), BINS - 1).ravel()
    weights = (None, probability.ravel(), truth.ravel())
    return np.stack([np.bincount(bins, each, minlength=BINS).astype(float) for each in weights])


def expected_calibration_error(tallied: Float64[np.ndarray, "3 bins"]) -> float:
    """Compute ECE = sum over bins of share of pixels * |foreground frequency - mean probability|.

    Guo et al. 2017, "On calibration of modern neural networks", equation 3, with the foreground's probability in place
    of the confidence in the predicted class.
    """
    pixels, confidence, foreground = tallied
    return float(np.abs(foreground - confidence).sum() / pixels.sum())


def reliability(tallied: Float64[np.ndarray, "3 bins"]) -> list[dict[str, Any]]:
    """List the bins: their bounds, pixels, mean probability and foreground frequency (None in an empty bin)."""
    return [
        {
            "low": index / BINS,
            "high": (index + 1) / BINS,
            "count": int(pixels),
            "confidence": confidence / pixels if pixels else None,
            "frequency": foreground / pixels if pixels else None,
        }
        for index, (pixels, confidence, foreground) in enumerate(tallied.T.tolist())
    ]


def calibrate(stability: Sequence[float], dice: Sequence[float]) -> Estimate:
    """Find the factor with which the mean estimate of validation images is their mean Dice, but 1 at the least.

    No model is taken to be better than its predictions are steady: it will see images that it finds harder.
    """
    if len(dice) < FEWEST:
        return Estimate()
    unsteady = np.maximum(1 - np.array(stability), LEAST)
    factor = max(1.0, float(np.sum(1 - np.array(dice)) / unsteady.sum()))
    return Estimate(factor=round(factor, 4), unlike=round(float(np.quantile(stability, RARE)), 4))


def score_estimate(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Compare "estimated_dice" with "dice_native", the true one of what `unetseg predict` writes.

    Returns:
        The mean absolute error; Spearman's rank correlation; and the area under the ROC curve with which the estimate
        finds the images whose Dice is below 0.8. None where a value is not defined.
    """
    estimated, true = (np.array([row[name] for row in rows], float) for name in ("estimated_dice", "dice_native"))
    poor = true < FINE
    ranked = min(len(np.unique(estimated)), len(np.unique(true))) > 1
    return {
        "mae": float(np.abs(estimated - true).mean()) if rows else None,
        "spearman": float(spearmanr(estimated, true).statistic) if ranked else None,
        "auc_below_0.8": float(roc_auc_score(poor, -estimated)) if 0 < poor.sum() < len(poor) else None,
    }
