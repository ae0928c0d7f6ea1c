"""Calibration: whether four in five pixels with probability 0.8 are foreground."""

from typing import Any

import numpy as np
from jaxtyping import Bool, Float32, Float64

BINS = 15


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
