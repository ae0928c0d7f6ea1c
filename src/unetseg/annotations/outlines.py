"""Outline a mask along the borders of its pixels, so that filling the outline gives the mask back exactly."""

from collections.abc import Iterator

import cv2
import numpy as np
from jaxtyping import Bool, Int

Corner = tuple[int, int]
Ring = Int[np.ndarray, "_ 2"]


def polygons(mask: Bool[np.ndarray, "height width"]) -> list[list[Ring]]:
    """Outline each part of a mask by one outer ring, and one ring around each hole in it.

    Parts that touch at a corner only are polygons of their own, no ring touches itself, and outer rings turn the other
    way round than holes: the polygons are valid by OGC's "Simple feature access" and by GeoJSON (RFC 7946).

    Returns:
        For each part its rings, the outer one first. A ring is the row and column of each of its corners, once; pixel
        (row, column) reaches from corner (row, column) to corner (row + 1, column + 1).
    """
    count, parts = cv2.connectedComponents(mask.astype(np.uint8), connectivity=4)
    return [
        # the signed area of an outer ring is below 0, that of a hole over 0
        sorted(_rings(parts == part), key=lambda ring: cv2.contourArea(ring.astype(np.int32), oriented=True))
        for part in range(1, count)
    ]


def outline(mask: Bool[np.ndarray, "height width"], row: int, column: int) -> list[list[Ring]]:
    """Outline an object whose mask starts at a row and column of its image, x before y as other programs have it."""
    return [[(ring + np.array([row, column]))[:, ::-1] for ring in rings] for rings in polygons(mask)]


def _rings(mask: Bool[np.ndarray, "height width"]) -> Iterator[Ring]:
    """Walk along the border with the mask to the right, and close a ring wherever the walk comes by again."""
    steps = dict.fromkeys(_steps(mask))
    while steps:
        corner, step = next(iter(steps))
        walk, place = [corner], {corner: 0}
        while (corner, step) in steps:
            del steps[corner, step]
            corner = (corner[0] + step[0], corner[1] + step[1])
            if corner in place:
                yield _without_straight(walk[place[corner] :])
                for passed in walk[place[corner] + 1 :]:
                    del place[passed]
                del walk[place[corner] + 1 :]
            else:
                place[corner] = len(walk)
                walk.append(corner)
            right, left = (step[1], -step[0]), (-step[1], step[0])
            # right first: it stays at the pixel it came along, so that pixels which touch at a corner stay apart
            step = next((turn for turn in (right, step, left) if (corner, turn) in steps), step)


def _steps(mask: Bool[np.ndarray, "height width"]) -> Iterator[tuple[Corner, Corner]]:
    """Find the sides of pixels on the border: from which corner, in which direction."""
    padded = np.pad(mask, 1)
    inside = padded[1:-1, 1:-1]
    sides = [
        (padded[:-2, 1:-1], (0, 0), (0, 1)),
        (padded[1:-1, 2:], (0, 1), (1, 0)),
        (padded[2:, 1:-1], (1, 1), (0, -1)),
        (padded[1:-1, :-2], (1, 0), (-1, 0)),
    ]
    for neighbour, start, direction in sides:
        for row, column in (np.argwhere(inside & ~neighbour) + start).tolist():
            yield (row, column), direction


def _without_straight(corners: list[Corner]) -> Ring:
    """Leave out the corners at which the ring goes straight on."""
    ring = np.array(corners)
    came, goes = ring - np.roll(ring, 1, axis=0), np.roll(ring, -1, axis=0) - ring
    return np.asarray(ring[(came != goes).any(axis=1)])
