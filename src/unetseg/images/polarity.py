"""Tell from an image and its mask which way round its brightness is."""

import cv2
import numpy as np
from jaxtyping import UInt, UInt8


def polarity(image: UInt8[np.ndarray, "height width 3"], mask: UInt[np.ndarray, "height width"]) -> float:
    """Compare the mean brightness of objects with that of the background.

    Args:
        image: RGB, 0 to 255.
        mask: 0, or 1 or the object's number.

    Returns:
        1 if objects are at least as bright as the background, -1 if they are darker. Where there are no objects or
        nothing else, the image itself says nothing; it is then taken as it is, 1.
    """
    inside = (mask > 0).view(np.uint8)
    objects, background = sum(cv2.mean(image, inside)[:3]), sum(cv2.mean(image, 1 - inside)[:3])
    return -1.0 if inside.any() and not inside.all() and objects < background else 1.0
