"""What an image looks like in six numbers, by which images of one experiment resemble each other."""

import cv2
import numpy as np
from jaxtyping import Float, UInt8

QUANTILES = (0.05, 0.5, 0.95, 0.995)
STATISTICS = ("q5", "q50", "q95", "q99.5", "colour", "sharpness")


def appearance(image: UInt8[np.ndarray, "height width 3"]) -> Float[np.ndarray, " statistics"]:
    """Give the `STATISTICS` of an image: quantiles of grey, distance of the channels, and sharpness.

    Sharpness is the logarithm of the Laplacian's deviation over that of the image.
    """
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
    means = image.reshape(-1, 3).mean(axis=0)
    sharpness = np.log((cv2.Laplacian(grey, cv2.CV_32F).std() + 0.1) / (grey.std() + 0.1))
    return np.array([*np.quantile(grey, QUANTILES), np.ptp(means), sharpness], np.float64)
