"""Read the indices of an image with a palette, which tell more objects apart than its colours do."""

from pathlib import Path

import numpy as np
import tifffile
from jaxtyping import Integer
from PIL import Image, UnidentifiedImageError

from unetseg.errors import InputError
from unetseg.images.rasters import in_our_words
from unetseg.images.tiffs import is_tiff


def read_palette(path: Path, shape: tuple[int, int]) -> Integer[np.ndarray, "height width"] | None:
    """Read the indices of a file whose colours `unetseg.images.opening` has read; None if it has no palette.

    Raises:
        InputError: without the file's name: if they are not of this shape.
    """
    with in_our_words():
        indices = _read(path)
        if indices is not None and indices.shape != shape:
            raise InputError(f"has a palette for {indices.shape} values, not {shape}; save it as grey values")
    return indices


def _read(path: Path) -> Integer[np.ndarray, "..."] | None:
    if is_tiff(path):
        with tifffile.TiffFile(path, _multifile=False) as tiff:
            series = max(tiff.series, key=lambda each: int(each.size))
            return np.squeeze(series.asarray()) if series.keyframe.photometric == tifffile.PHOTOMETRIC.PALETTE else None
    try:
        with Image.open(path) as image:
            return np.asarray(image) if image.mode == "P" else None
    except UnidentifiedImageError:  # a vendor's file
        return None


def told_by_palette(
    indices: Integer[np.ndarray, "height width"], colours: Integer[np.ndarray, "height width 3"]
) -> Integer[np.ndarray, "height width"]:
    """Give the indices of a palette; where there are two, one of them black, what is not black is a mask.

    Raises:
        InputError: without the file's name: if it shows an object as black, or of two colours index 0 as white.
    """
    used, black = np.unique(indices), ~colours.any(axis=2)
    dark = np.unique(indices[black])
    if len(dark) == 0 or dark.tolist() == [0]:
        return indices if np.count_nonzero(used) > 1 else (indices > 0).astype(np.uint8)
    if len(dark) == 1 and len(used) <= 2:
        if (colours[indices == 0] == np.iinfo(colours.dtype).max).all() and used[0] == 0:  # ImageJ's inverting LUT
            raise InputError("its palette shows 0 as white, which programs read in two ways; save 0 as black")
        return np.asarray(~black, np.uint8)
    black_index = dark[dark > 0][0]
    raise InputError(f"its palette shows index {black_index} as black, which is background; save it as grey values")
