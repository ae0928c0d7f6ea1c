"""Number the objects of an image of any size, a strip of rows at a time."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float32, Int32
from scipy import ndimage

PIECE = 2**22  # pixels of rows processed together
MOST = 2**24  # a component that spans rows of half to all of so many pixels is cut, so that memory stays bounded
BLOCK = 2048  # columns whose components are numbered together; a watershed takes about 70 bytes per pixel

Number = Callable[[Float32[np.ndarray, "height width"]], Int32[np.ndarray, "height width"]]


@dataclass(frozen=True)
class FoundObject:
    """An object: its number from 1, where the box with its pixels starts in the image, and its mean probability."""

    label: int
    row: int
    column: int
    mask: Bool[np.ndarray, "height width"]
    probability: float


@dataclass(frozen=True)
class Strip:
    """Consecutive finished rows of an image, the objects completed with them, and how many components are cut below."""

    top: int
    probability: Float32[np.ndarray, "rows width"]
    labels: Int32[np.ndarray, "rows width"]
    objects: list[FoundObject]
    cut: int = 0


def number_objects(
    probabilities: Iterable[Float32[np.ndarray, "_ width"]],
    height: int,
    number: Number,
    threshold: float,
    *,
    piece: int = PIECE,
    most: int = MOST,
) -> Iterator[Strip]:
    """Number objects without the whole image in memory, holding back those that may continue in the next rows.

    They are those of `number` on the whole image, but that it may cut an even plateau of touching objects elsewhere, by
    some pixels, in images of more than `BLOCK` columns or `PIECE` pixels.

    Args:
        probabilities: rows of the image from the top, any number at a time.
        height: of the image.
        number: numbers the objects of a probability, without gaps. Its result for a component (4-connected pixels
            of at least `threshold`) may depend on that component alone.
        threshold: probability from which a pixel may be in an object, over 0.
        piece: pixels to number together.
        most: when more pixels than this wait, components that began in the upper half of them are cut.
    """
    top = last = 0
    objects: list[FoundObject] = []
    waiting: list[np.ndarray] = []
    numbered: list[np.ndarray] = []
    for rows in _pieces(probabilities, piece):
        probability = np.concatenate([*waiting, rows])
        done = np.concatenate([*numbered, np.zeros(rows.shape, np.int32)])
        mask = (probability >= np.float32(threshold)) & (done == 0)
        ends = top + len(probability) == height
        blocks, ready, cut = _blocks(mask, len(mask) if ends else len(mask) // 2 if probability.size > most else 0)
        for columns, inside in blocks:
            labels = number(np.where(inside, probability[:, columns], np.float32(0)))
            found = list(_cut_out(labels, probability[:, columns], top, columns.start, last))
            done[:, columns] += np.where(labels, labels + np.int32(last), np.int32(0))
            objects, last = objects + found, last + len(found)
        if ready:
            yield Strip(top, probability[:ready], done[:ready], objects, 0 if ends else cut)
            objects = []
        waiting, numbered, top = [probability[ready:]], [done[ready:]], top + ready


def without_objects(probabilities: Iterable[Float32[np.ndarray, "_ width"]]) -> Iterator[Strip]:
    """Yield strips without objects, for masks only."""
    top = 0
    for probability in probabilities:
        yield Strip(top, probability, np.zeros(probability.shape, np.int32), [])
        top += len(probability)


def _pieces(strips: Iterable[Float32[np.ndarray, "_ width"]], piece: int) -> Iterator[Float32[np.ndarray, "_ width"]]:
    for strip in strips:
        rows = max(1, piece // strip.shape[1])
        for start in range(0, len(strip), rows):
            yield strip[start : start + rows]


def _blocks(
    mask: Bool[np.ndarray, "height width"], closed: int
) -> tuple[Iterator[tuple[slice, Bool[np.ndarray, "height columns"]]], int, int]:
    """Divide the components that can be numbered into blocks, by their first column.

    Args:
        mask: the pixels of components without a number.
        closed: those that begin above this row are taken to end where they touch the last row.

    Returns:
        Columns and the pixels in them that are to be numbered together; the first row of all other components; and how
        many touch the last row and are taken to end there.
    """
    count, parts, boxes, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8), connectivity=4)
    left, top, width = (boxes[:, each] for each in (cv2.CC_STAT_LEFT, cv2.CC_STAT_TOP, cv2.CC_STAT_WIDTH))
    touching = np.zeros(count, bool)
    touching[parts[-1]] = True
    touching[0] = False
    open_ended = touching & (top >= closed)
    ready = int(top[open_ended].min()) if open_ended.any() else len(mask)
    usable = ~open_ended
    usable[0] = False

    def blocks() -> Iterator[tuple[slice, Bool[np.ndarray, "height columns"]]]:
        for block in np.unique(left[usable] // BLOCK):
            members = usable & (left // BLOCK == block)
            columns = slice(int(left[members].min()), int((left + width)[members].max()))
            yield columns, members[parts[:, columns]]

    return blocks(), ready, int(np.count_nonzero(touching & ~open_ended))


def _cut_out(
    labels: Int32[np.ndarray, "height width"],
    probability: Float32[np.ndarray, "height width"],
    top: int,
    left: int,
    last: int,
) -> Iterator[FoundObject]:
    for label, box in enumerate(ndimage.find_objects(labels), 1):
        mask = labels[box] == label
        mean = float(probability[box][mask].mean(dtype=np.float64))
        yield FoundObject(last + label, top + box[0].start, left + box[1].start, mask, mean)
