"""How an image is predicted in tiles: what every process that takes part has to know, and how the parts are joined."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, UInt8

from unetseg.images.opening import Opened
from unetseg.images.resampling import resized_rows, resized_strips
from unetseg.images.tiling import Grid, Rows


class Seen(NamedTuple):
    """An image in memory, or one that is made as it is read: RGB, 0 to 255."""

    rows: Rows  # gives those from a first one to one before the last
    height: int
    width: int
    pixel: tuple[float, float] | None = None  # height and width in µm, where they are known


Readable = Opened | Seen


def in_memory(pixels: UInt8[np.ndarray, "height width 3"], pixel: tuple[float, float] | None = None) -> Seen:
    """Make an image in memory readable; `pixel` is the height and width of its pixels in µm."""
    return Seen(lambda start, stop: pixels[start:stop], pixels.shape[0], pixels.shape[1], pixel)


@dataclass(frozen=True)
class Plan:
    """How an image of this height and width is predicted in tiles."""

    height: int
    width: int
    grid: Grid  # of what the model sees of it
    scaling: tuple[float, float]  # the factor and the offset by which the model normalises its values

    def join(self, scored: Iterable[Float32[np.ndarray, "tile padded"]]) -> Iterator[Float32[np.ndarray, "_ width"]]:
        """Join the scored rows of tiles, given from the top, to strips of the image's own size."""
        strips = self.grid.join(scored)
        if (self.height, self.width) == (self.grid.height, self.grid.width):
            return strips
        return resized_strips(strips, self.grid.height, self.height, self.width)


def zoomed(image: Readable, grid: Grid) -> Seen:
    """Give what the model sees of an image."""
    same = (image.height, image.width) == (grid.height, grid.width)
    rows = image.rows if same else resized_rows(image.rows, image.height, grid.height, grid.width)
    return Seen(rows, grid.height, grid.width)
