"""Fit an image to the model's size, and restore predictions to the image's size."""

import cv2
import numpy as np
from jaxtyping import Float32, Shaped, UInt8


def fit(image: UInt8[np.ndarray, "height width 3"], size: int) -> UInt8[np.ndarray, "size size 3"]:
    """Resize an image to the model's input size, as in training.

    Args:
        image: RGB, 0 to 255.
        size: height and width to reach; the image's proportions are not kept.
    """
    return resize(image, size, size)


def restore(
    probability: Float32[np.ndarray, "size size"], height: int, width: int
) -> Float32[np.ndarray, "{height} {width}"]:
    """Resize the probability of a fitted image back to the image's own height and width, in pixels."""
    return resize(probability, height, width)


def resize(
    pixels: Shaped[np.ndarray, "old_height old_width *channels"], height: int, width: int
) -> Shaped[np.ndarray, "{height} {width} *channels"]:
    """Resize without aliasing: area means along an axis that shrinks, linear interpolation along one that grows.

    Args:
        pixels: uint8, uint16 or float32; up to four channels, not a trailing axis of one.
        height: rows to reach.
        width: columns to reach.
    """
    old_height, old_width = pixels.shape[:2]
    # OpenCV's INTER_AREA takes the nearest pixels where any axis grows, so each kind of change has its own pass
    shrunk = cv2.resize(pixels, (min(width, old_width), min(height, old_height)), interpolation=cv2.INTER_AREA)
    return cv2.resize(shrunk, (width, height), interpolation=cv2.INTER_LINEAR)
