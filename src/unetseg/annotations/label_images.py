"""Tell label images from grey pictures, blurred edges, borders, classes and what is not annotated, by their values."""

import cv2
import numpy as np
from jaxtyping import Integer

BARE = (
    "none of which is 0, the background; ilastik numbers classes from 1, so save its objects as 255 and the rest as 0"
)

LARGEST = tuple(2**bits - 1 for bits in (8, 15, 16, 31, 32))  # of types, whichever the file was converted to


def no_label_image(parts: Integer[np.ndarray, "height width"], objects: int) -> str | None:
    """Say why values, from 1 without gaps, cannot be objects' numbers but are a grey picture, blurred edges or classes.

    Few values of label images lie along larger ones, or in several clumps of objects; of masks that were resized,
    blurred or divided into classes, most do. benchmarks/label_images.py counts what is told apart.
    """
    left, right = parts[:, :-1], parts[:, 1:]
    both = (left > 0) & (right > 0)
    if np.count_nonzero(both & (left != right)) > np.count_nonzero(both) / 2 and both.sum() > 2 * objects:
        return "which change from pixel to pixel as in a grey picture"
    if parts.all():
        return BARE
    return _of_edges_or_classes(parts, objects) if objects > 1 else None


def marks_what_is_not_annotated(
    parts: Integer[np.ndarray, "height width"], values: Integer[np.ndarray, " objects"]
) -> str | None:
    """Say why one of the objects' values is none: the largest of a type, far above the others, on the largest region.

    `parts` numbers the objects from 1 without gaps, in the order of their values.
    """
    if len(values) < 3 or values[-1] not in LARGEST or values[-2] >= values[-1] / 2:
        return None
    sizes = np.bincount(parts.ravel())
    remedy = f"crop image and labels to what is annotated, or set {values[-1]} to 0 if no object is there"
    told = f"of which {values[-1]} covers more than any other, as what is not annotated; {remedy}"
    return told if sizes[-1] > sizes[1:-1].max() else None


def _of_edges_or_classes(parts: Integer[np.ndarray, "height width"], objects: int) -> str | None:
    """Say why values stand for the edges of objects or their classes; see `no_label_image`."""
    from skimage.measure import label  # noqa: PLC0415 - with SciPy it takes as long as all other imports

    placed = label(parts, background=0, connectivity=1)
    places = int(placed.max())
    if places > 4 * objects + 8:
        return f"in {places:,} places as at blurred edges"
    there = parts > 0
    along = there & (cv2.dilate(parts.astype(np.float32), np.ones((3, 3))) > parts)
    pixels, edges = (np.bincount(parts[each], minlength=objects + 1)[1:] for each in (there, along))
    if 2 * np.count_nonzero(edges >= 0.9 * pixels) > objects - 1:
        return "of which most lie along larger ones as at blurred edges"
    if _surrounds(parts, objects):
        return "of which one lies all around most others, as a border does"
    clumps, clump = cv2.connectedComponents(there.view(np.uint8), connectivity=8)
    value_of, clump_of = np.zeros((2, places + 1), np.int64)
    value_of[placed], clump_of[placed] = parts, clump
    pairs = np.unique(value_of[1:] * clumps + clump_of[1:])
    apart = np.bincount(pairs // clumps) > 1  # parts of an object that another one cuts are in one clump
    many = 2 * np.count_nonzero(apart) > objects or len(pairs) >= 2 * objects
    return f"in {len(pairs):,} places far apart as of classes" if many else None


def _surrounds(parts: Integer[np.ndarray, "height width"], objects: int) -> bool:
    """Tell whether one value lies all around more than half of the others, as 255 does in Pascal VOC.

    Of two values the inner one has to be the larger: small objects may lie within others.
    """
    pairs = []
    for one, other in ((parts[1:], parts[:-1]), (parts[:, 1:], parts[:, :-1])):
        differ = one != other
        ends = one[differ].astype(np.int64), other[differ].astype(np.int64)
        pairs += [np.unique(first * (objects + 1) + second) for first, second in (ends, ends[::-1])]
    inner, outer = np.divmod(np.unique(np.concatenate(pairs)), objects + 1)
    closed = np.ones(objects + 1, np.bool_)
    closed[0] = False
    closed[inner[outer == 0]] = False  # beside the background
    for end in (parts[0], parts[-1], parts[:, 0], parts[:, -1]):
        closed[end] = False  # what lies beyond is not known
    around = np.bincount(outer[closed[inner]], minlength=objects + 1)
    if objects == 2:
        sizes = np.bincount(parts.ravel())
        return bool(around.max() and sizes[around.argmax()] < sizes[3 - around.argmax()])
    return bool(2 * around.max() > objects - 1)
