"""Open an image of any size for reading by rows."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from unetseg.errors import InputError
from unetseg.images.pictures import read_image, to_rgb
from unetseg.images.tiffs import Plane, is_tiff, open_plane
from unetseg.images.tiling import Rows

LARGE = 2**26  # pixels; a TIFF of more is not held in memory
STRIP = 2**22  # pixels of a large image that are worked on together


@dataclass(frozen=True)
class Opened:
    """An image whose rows can be read.

    Attributes:
        height: in pixels.
        width: in pixels.
        pixel: height and width of a pixel in µm, where the file has them.
        rows: gives the rows from a first one to one before the last, RGB, 0 to 255, as training sees them.
    """

    height: int
    width: int
    pixel: tuple[float, float] | None
    rows: Rows


@contextmanager
def open_image(path: Path, plane: int | None = None, large: int = LARGE) -> Iterator[Opened]:
    """Open an image, to be read while the context lasts.

    Args:
        path: the file.
        plane: which image of a TIFF stack, from 0.
        large: a TIFF of more pixels is read as rows are asked for, any other image at once.

    Raises:
        InputError: naming the file and what is wrong with it.
    """
    if not is_tiff(path):
        yield _held(read_image(path), None)
        return
    with open_plane(path, plane or 0) as found:
        if found.alone and found.height * found.width <= large:
            yield _held(read_image(path), found.pixel)
        else:
            yield Opened(found.height, found.width, found.pixel, _rows(found, path))


def _held(image: UInt8[np.ndarray, "height width 3"], pixel: tuple[float, float] | None) -> Opened:
    return Opened(image.shape[0], image.shape[1], pixel, lambda start, stop: image[start:stop])


def _rows(plane: Plane, path: Path) -> Rows:
    """Read rows of a plane, scaled as `to_rgb` does, but by the range of the whole plane."""
    if plane.rows(0, 1).dtype == np.uint8:
        return lambda start, stop: to_rgb(plane.rows(start, stop))
    low, high = _range(plane)
    if not np.isfinite([low, high]).all():
        raise InputError(f"{path}: has values that are NaN or infinite")
    scale = 255 / ((high - low) or 1)

    def scaled(start: int, stop: int) -> UInt8[np.ndarray, "rows width 3"]:
        pixels, step = plane.rows(start, stop), _step(plane)
        parts = (pixels[top : top + step] for top in range(0, len(pixels), step))  # NumPy scales in 64 bit
        return np.concatenate([to_rgb(np.rint(part * scale - low * scale).astype(np.uint8)) for part in parts])

    return scaled


def _range(plane: Plane) -> tuple[float, float]:
    step = _step(plane)
    strips = (plane.rows(start, min(start + step, plane.height)) for start in range(0, plane.height, step))
    ranges = np.array([(strip.min(), strip.max()) for strip in strips], np.float64)
    return float(ranges[:, 0].min()), float(ranges[:, 1].max())


def _step(plane: Plane) -> int:
    return max(1, STRIP // plane.width)
