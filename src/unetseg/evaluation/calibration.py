"""Calibration: whether four in five pixels with probability 0.8 are foreground, and the estimated Dice of an image.

The estimate is calibrated on the validation images, and scored on the test images as any other prediction.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32, Float64
from scipy.stats import spearmanr
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import roc_auc_score

from unetseg.prediction.quality import FINE, Estimate

BINS = 15
FEWEST = 8  # images to calibrate the estimate on; with fewer, the expected Dice is used as it is
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


def calibrate(expected: Sequence[float], dice: Sequence[float]) -> Estimate:
    """Fit the Dice of images to the Dice that the model expects of them, by centred isotonic regression.

    Isotonic regression gives steps, on each of which images cannot be told apart; here each step is the point at its
    mean, with lines between them (Oron and Flournoy 2017, "Centered isotonic regression"). That nothing scores 0 where
    nothing is expected is added to the images, so that the map reaches down to 0.
    """
    if len(expected) < FEWEST:
        return Estimate()
    known = np.array([0.0, *expected])
    fitted = IsotonicRegression(y_min=0, y_max=1).fit_transform(known, [0.0, *dice])
    steps, members = np.unique(fitted, return_inverse=True)
    centres = np.bincount(members, known) / np.bincount(members)
    axes = [*centres, 1.0], [*steps, steps[-1]]  # above the last step it stays; where all images score 0, there is one
    points = [tuple(round(float(value), 4) for value in axis) for axis in axes]
    unlike = round(float(np.quantile(expected, RARE)), 4)
    return Estimate(expected=points[0], dice=points[1], unlike=unlike)


def score_estimate(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Compare "estimated_dice" with "dice", the true one, of at least one image.

    Returns:
        The mean absolute error; Spearman's rank correlation; and the area under the ROC curve with which the estimate
        finds the images whose Dice is below 0.8. None where a value is not defined.
    """
    estimated, true = (np.array([row[name] for row in rows], float) for name in ("estimated_dice", "dice"))
    poor = true < FINE
    ranked = np.ptp(estimated) > 0 and np.ptp(true) > 0
    return {
        "mae": float(np.abs(estimated - true).mean()),
        "spearman": float(spearmanr(estimated, true).statistic) if ranked else None,
        "auc_below_0.8": float(roc_auc_score(poor, -estimated)) if 0 < poor.sum() < len(poor) else None,
    }
