"""Cut an image of any size into strips, or into overlapping tiles whose predictions are blended."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, UInt8

STRIP = 2**22  # pixels of a strip: memory does not grow with the image
DEVIATION = 1 / 12  # of the Gaussian window, in tiles; with nnU-Net's 1/8, seams are nine times as deep here

Rows = Callable[[int, int], UInt8[np.ndarray, "rows width 3"]]  # from a first one to one before the last
Score = Callable[[UInt8[np.ndarray, "n tile_height tile_width 3"]], Float32[np.ndarray, "n tile_height tile_width"]]


def cut_rows(height: int, width: int, multiple: int = 1) -> Iterator[tuple[int, int]]:
    """Cut an image into strips of about `STRIP` pixels: give the first row of each, and one after its last.

    Each strip, except the last, is a multiple of rows high.
    """
    step = multiple * max(1, STRIP // (width * multiple))
    return ((start, min(start + step, height)) for start in range(0, height, step))


@dataclass(frozen=True)
class Axis:
    """The positions of tiles along the height or the width of an image.

    Attributes:
        padded: length in pixels once the border is mirrored up to a multiple of what the model needs.
        tile: length of a tile.
        starts: first pixel of each tile, rising.
        window: weight of each pixel of a tile; a Gaussian (Isensee et al., "nnU-Net", Nature Methods 18, 2021), so that
            what a tile says near its border, where it sees little, hardly counts.
        total: sum of the weights that fall on each pixel.
    """

    padded: int
    tile: int
    starts: tuple[int, ...]
    window: Float32[np.ndarray, " tile"]
    total: Float32[np.ndarray, " padded"]


def lay(length: int, tile: int, overlap: int, multiple: int) -> Axis:
    """Place tiles evenly along an axis, the first at its start and the last at its end.

    Args:
        length: pixels of the image along this axis.
        tile: longest tile, a multiple of `multiple`; an image that is shorter is one tile.
        overlap: least number of pixels that neighbours share, below `tile`.
        multiple: tiles start and end at multiples of this, so that all lie on one grid of the model's poolings.
    """
    padded = -(-length // multiple) * multiple
    tile = min(tile, padded)
    count = 1 + -(-(padded - tile) // (tile - overlap)) if padded > tile else 1
    starts = np.linspace(0, (padded - tile) // multiple, count).astype(int) * multiple
    offsets = np.arange(tile) + 0.5 - tile / 2
    window = np.exp(-0.5 * (offsets / (tile * DEVIATION)) ** 2).astype(np.float32)
    total = np.zeros(padded, np.float32)
    for start in starts:
        total[start : start + tile] += window
    return Axis(padded, tile, tuple(starts.tolist()), window, total)


@dataclass(frozen=True)
class Grid:
    """The tiles of an image. A row of tiles is scored independently of the others, by any process.

    Attributes:
        height: of the image.
        width: of the image.
        down: positions along the height.
        across: positions along the width.
        batch: tiles to score at once.
    """

    height: int
    width: int
    down: Axis
    across: Axis
    batch: int

    def score(self, rows: Rows, score: Score, top: int) -> Float32[np.ndarray, "tile padded"]:
        """Score the row of tiles that starts at `top`, blend neighbours, and weight the pixels for `join`."""
        across = self.across
        image = rows(top, min(top + self.down.tile, self.height))
        image = np.pad(image, ((0, self.down.tile - len(image)), (0, across.padded - self.width), (0, 0)), "symmetric")
        blended = np.zeros(image.shape[:2], np.float32)
        for first in range(0, len(across.starts), self.batch):
            starts = across.starts[first : first + self.batch]
            scored = score(np.stack([image[:, start : start + across.tile] for start in starts]))
            for start, probability in zip(starts, scored, strict=True):
                blended[:, start : start + across.tile] += probability * across.window
        blended /= across.total
        blended *= self.down.window[:, None]  # in place: such arrays are as large as a row of tiles
        return blended

    def join(self, scored: Iterable[Float32[np.ndarray, "tile padded"]]) -> Iterator[Float32[np.ndarray, "_ width"]]:
        """Blend the scored rows of tiles, given from the top, and give back strips of rows as they are finished."""
        down = self.down
        pending = np.zeros((down.tile, self.across.padded), np.float32)
        for top, following, blended in zip(down.starts, [*down.starts[1:], down.padded], scored, strict=True):
            pending += blended
            finished = following - top
            yield (pending[:finished] / down.total[top:following, None])[: self.height - top, : self.width]
            pending[:-finished] = pending[finished:]
            pending[-finished:] = 0


def lay_grid(height: int, width: int, *, tile: int, overlap: int, multiple: int, batch_pixels: int) -> Grid:
    """Place the tiles of an image; see `lay`, and score `batch_pixels` at once, but never less than one tile."""
    down, across = lay(height, tile, overlap, multiple), lay(width, tile, overlap, multiple)
    return Grid(height, width, down, across, max(1, batch_pixels // (down.tile * across.tile)))
