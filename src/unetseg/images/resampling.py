"""Resize images to what the model sees and predictions back, whole or a few rows at a time."""

from collections.abc import Iterable, Iterator

import cv2
import numpy as np
from jaxtyping import Float32, Shaped, UInt8
from scipy import sparse

from unetseg.images.tiling import Rows

TOGETHER = 512  # rows of an image that are resized together, so that memory does not grow with its height


def fit(image: UInt8[np.ndarray, "height width 3"], size: int) -> UInt8[np.ndarray, "size size 3"]:
    """Resize an image to the model's height and width in pixels, as in training; its proportions are not kept."""
    return resize(image, size, size)


def resize(
    pixels: Shaped[np.ndarray, "old_height old_width *channels"], height: int, width: int
) -> Shaped[np.ndarray, "{height} {width} *channels"]:
    """Resize without aliasing: area means along an axis that shrinks, linear interpolation along one that grows.

    `pixels` are uint8, uint16 or float32, with up to four channels, not a trailing axis of one. Height and width are in
    pixels.
    """
    old_height, old_width = pixels.shape[:2]
    # OpenCV's INTER_AREA takes the nearest pixels where any axis grows, so each kind of change has its own pass
    shrunk = cv2.resize(pixels, (min(width, old_width), min(height, old_height)), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(shrunk, (width, height), interpolation=cv2.INTER_LINEAR))


def resized_rows(rows: Rows, height: int, new_height: int, new_width: int) -> Rows:
    """Give the rows of a resized image, of which only those that are asked for are made; `height` is that before."""
    weights = _weights(height, new_height)
    step = max(1, TOGETHER * new_height // height)

    def part(start: int, stop: int) -> UInt8[np.ndarray, "rows new_width 3"]:
        first, last = _support(weights, start, stop)
        across = resize(rows(first, last), last - first, new_width)
        return np.asarray(np.rint(_mix(weights, start, stop, first, across)), np.uint8)

    def resized(start: int, stop: int) -> UInt8[np.ndarray, "rows new_width 3"]:
        return np.concatenate([part(top, min(top + step, stop)) for top in range(start, stop, step)])

    return resized


def resized_strips(
    strips: Iterable[Float32[np.ndarray, "_ width"]], height: int, new_height: int, new_width: int
) -> Iterator[Float32[np.ndarray, "_ new_width"]]:
    """Resize what comes strip by strip from the top, and give it on as it is complete.

    Strips have any number of rows, `height` in all.
    """
    weights, top, done = _weights(height, new_height), 0, 0
    needed = np.minimum.reduceat(weights.indices, weights.indptr[:-1])  # the first row that each of the result needs
    beyond = np.maximum.reduceat(weights.indices, weights.indptr[:-1]) + 1
    kept: Float32[np.ndarray, "rows new_width"] = np.zeros((0, new_width), np.float32)
    for strip in strips:
        kept = np.concatenate([kept, resize(strip, len(strip), new_width)])
        stop = int(np.searchsorted(beyond, top + len(kept), "right"))
        if stop > done:
            yield _mix(weights, done, stop, top, kept)
            done = stop
            first = int(needed[done]) if done < new_height else top + len(kept)
            kept, top = kept[first - top :], first


def _weights(old: int, new: int) -> sparse.csr_array:
    """Make the matrix that resizes an axis: area means where it shrinks, linear where it grows, as `resize` does."""
    factor, rows = old / new, np.arange(new)
    if new >= old:
        centre = np.clip((rows + 0.5) * factor - 0.5, 0, old - 1)
        first = np.minimum(centre.astype(int), max(old - 2, 0))
        columns = np.stack([first, np.minimum(first + 1, old - 1)])
        values = np.stack([1 - (centre - first), centre - first])
    else:
        columns = (rows * factor).astype(int) + np.arange(int(factor) + 2)[:, None]
        values = np.minimum((rows + 1) * factor, columns + 1) - np.maximum(rows * factor, columns)
        values = np.maximum(values, 0) / factor
        columns = np.minimum(columns, old - 1)
    places = (np.tile(rows, len(columns)), columns.ravel())
    matrix = sparse.csr_array((values.ravel().astype(np.float32), places), shape=(new, old))
    matrix.eliminate_zeros()
    return matrix


def _support(weights: sparse.csr_array, start: int, stop: int) -> tuple[int, int]:
    """Give the first row that rows of the result need, and one after the last."""
    columns = weights.indices[weights.indptr[start] : weights.indptr[stop]]
    return int(columns.min()), int(columns.max()) + 1


def _mix(
    weights: sparse.csr_array, start: int, stop: int, first: int, across: Shaped[np.ndarray, "rows width *channels"]
) -> Float32[np.ndarray, "new_rows width *channels"]:
    part = weights[start:stop, first : first + len(across)]
    mixed = part @ across.reshape(len(across), -1).astype(np.float32)
    return np.asarray(mixed, np.float32).reshape(stop - start, *across.shape[1:])
