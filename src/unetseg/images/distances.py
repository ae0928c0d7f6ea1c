"""Distances in masks."""

import cv2
import numpy as np
from jaxtyping import Bool, Float32


def distance_inside(mask: Bool[np.ndarray, "height width"]) -> Float32[np.ndarray, "height width"]:
    """Give each pixel of a mask its Euclidean distance to the nearest pixel outside, in pixels, the same in every run.

    Squares of distances are whole, by which the last digit is mended: OpenCV's depends on its threads.
    """
    distance = cv2.distanceTransform(mask.view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.asarray(np.sqrt(np.rint(distance * distance)))
