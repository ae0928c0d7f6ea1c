"""Give the gaps between touching objects extra weight; they are too few pixels to matter otherwise."""

import cv2
import numpy as np
from jaxtyping import Float32, UInt16

SIGMA = 5.0  # pixels, as in the paper
REACH = round(3 * SIGMA)  # at this distance from both objects the weight is below 1/90 of its peak


def border_weights(labels: UInt16[np.ndarray, "height width"], strength: float) -> Float32[np.ndarray, "height width"]:
    r"""Give each background pixel between two objects an extra weight.

    Ronneberger, Fischer and Brox, "U-Net", MICCAI 2015, equation 2, without its first term, which balances classes:

    .. math:: w_0 \exp(-(d_1 + d_2)^2 / (2 \sigma^2))

    Args:
        labels: 0 or the object's number.
        strength: the peak w₀.

    Returns:
        0 inside objects and far from any two; d₁ and d₂ are the distances in pixels to the nearest and the second
        nearest object, σ is 5 pixels.
    """
    nearest = np.full(labels.shape, np.inf, np.float32)
    second = nearest.copy()
    for number in np.unique(labels[labels > 0]):
        column, row, width, height = cv2.boundingRect((labels == number).view(np.uint8))
        box = (
            slice(max(row - REACH, 0), row + height + REACH),
            slice(max(column - REACH, 0), column + width + REACH),
        )
        outside = (labels[box] != number).view(np.uint8)
        distance = cv2.distanceTransform(outside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
        second[box] = np.minimum(second[box], np.maximum(nearest[box], distance))
        nearest[box] = np.minimum(nearest[box], distance)
    weights = strength * np.exp(-((nearest + second) ** 2) / (2 * SIGMA**2))
    return np.where(labels > 0, 0, weights).astype(np.float32)
