"""From probability to objects: connected components, or a watershed that splits touching ones."""

import cv2
import numpy as np
from jaxtyping import Bool, Float32, Int32
from skimage.morphology import local_maxima, reconstruction
from skimage.segmentation import watershed

from unetseg.images.distances import distance_inside

CROSS = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], np.uint8)  # pixels that touch at a corner only are not connected
STEPS = 64  # of dilation, before falling back to the slower reconstruction for long shapes


def connected_objects(
    probability: Float32[np.ndarray, "height width"], threshold: float, min_size: int
) -> Int32[np.ndarray, "height width"]:
    """Number the connected components of the mask `probability >= threshold`, but for those of under `min_size` pixels.

    Returns:
        0 for background, 1, 2, … for the objects, without gaps.
    """
    return without_small(_components(probability >= np.float32(threshold)), min_size)


def separated_objects(
    probability: Float32[np.ndarray, "height width"], threshold: float, depth: float, min_size: int
) -> Int32[np.ndarray, "height width"]:
    """Number the objects of the mask `probability >= threshold`, with touching objects split at their necks.

    A watershed of the distance to the background (Vincent & Soille 1991), from those of its peaks that stand out by
    `depth` (the h-maxima transform: Soille 2003, "Morphological image analysis", section 6.3.4): the minimum depth of a
    neck in pixels, over 0; a larger one makes fewer cuts. Objects of under `min_size` pixels become background.

    Returns:
        0 for background, 1, 2, … for the objects, without gaps.
    """
    # pad with background: the image border is no neck, and an image that is all foreground needs a background
    mask = np.pad(probability >= np.float32(threshold), 1)
    distance = distance_inside(mask)
    distance[~mask] = -depth  # so low that the flattest component keeps a peak
    flattened = _flattened(distance, np.where(mask, distance - np.float32(depth), distance))
    peaks = np.asarray(local_maxima(flattened, connectivity=1), np.bool_) & mask
    parts = watershed(-distance, _components(peaks), connectivity=1, mask=mask)
    return without_small(parts[1:-1, 1:-1], min_size)


def _flattened(
    distance: Float32[np.ndarray, "height width"], marker: Float32[np.ndarray, "height width"]
) -> Float32[np.ndarray, "height width"]:
    """Reconstruct the distance from a lower marker, by dilation; a few steps suffice unless a shape is long."""
    grown, before = marker.copy(), np.empty_like(marker)
    for step in range(STEPS):
        if step % 4 == 3:  # whether anything still changes costs as much as a step
            before[:] = grown
        cv2.min(cv2.dilate(grown, CROSS), distance, dst=grown)
        if step % 4 == 3 and np.array_equal(before, grown):
            return grown
    return np.asarray(reconstruction(grown, distance, footprint=CROSS), np.float32)


def without_small(labels: Int32[np.ndarray, "height width"], min_size: int) -> Int32[np.ndarray, "height width"]:
    """Remove objects of fewer than `min_size` pixels and number the others without gaps."""
    kept = np.bincount(labels.ravel()) >= min_size
    kept[0] = False
    return np.asarray((np.cumsum(kept) * kept)[labels], np.int32)


def _components(mask: Bool[np.ndarray, "height width"]) -> Int32[np.ndarray, "height width"]:
    return np.asarray(cv2.connectedComponents(mask.view(np.uint8), connectivity=4)[1], np.int32)
