"""Convert values of any type to 8 bit, and tell bright objects from dark ones."""

from collections.abc import Iterable
from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import Shaped, UInt, UInt8

from unetseg.errors import InputError
from unetseg.images.tiling import cut_rows

PERCENTILES = (0.05, 99.95)  # measured: see docs/images.md
SAMPLE = 2**22  # pixels used for percentiles: a grid over larger images, the same however the image is read
LARGEST = 1e30  # larger floats are not measurements, and their sums overflow


class Range(NamedTuple):
    """The values that become 0 and 255; values beyond are clipped."""

    low: float
    high: float


def to_rgb(
    pixels: Shaped[np.ndarray, "height width channels"], span: Range | None = None
) -> UInt8[np.ndarray, "height width 3"]:
    """Turn one or three channels of any type into RGB, 0 to 255.

    8-bit values stay. Others are scaled by the image's own percentiles, over all its channels together: a 12-bit
    camera's image in a 16-bit file is not black, one hot pixel does not make it so, and colours stay what they are.

    Args:
        pixels: an image, or rows of it.
        span: of the whole image; None: `pixels` are the whole.
    """
    if pixels.dtype == np.bool_:
        pixels = pixels.astype(np.uint8) * np.uint8(255)
    if pixels.dtype != np.uint8:
        low, high = span or value_range([pixels], *pixels.shape[:2])
        scaled = np.empty(pixels.shape, np.uint8)
        for top, bottom in cut_rows(*pixels.shape[:2]):  # NumPy scales in 64 bit
            part = np.subtract(pixels[top:bottom], low, dtype=np.float64)
            with np.errstate(over="ignore"):  # a value far beyond a range that is next to nothing
                part /= (high - low) or 1
            part = np.clip(part, 0, 1, out=part) * 255
            scaled[top:bottom] = np.rint(part, out=part)
        pixels = scaled
    return np.ascontiguousarray(cv2.merge([pixels] * 3) if pixels.shape[2] == 1 else pixels)


def value_range(strips: Iterable[Shaped[np.ndarray, "_ width channels"]], height: int, width: int) -> Range:
    """Find the percentiles of an image that is given in strips from its top.

    Where the two are one value, as in an image that is empty but for a speck, the least and the largest value serve.

    Raises:
        InputError: if there are values that are NaN, infinite or beyond `LARGEST`.
    """
    step = max(1, int(np.ceil(np.sqrt(height * width / SAMPLE))))
    sampled, ends, top = [], [], 0
    for strip in strips:
        check_values(strip)
        sampled.append(strip[-top % step :: step, ::step].copy())
        ends += [strip.min(), strip.max()]
        top += len(strip)
    values = np.concatenate([each.ravel() for each in sampled])
    low, high = np.percentile(values, PERCENTILES, method="nearest")
    return Range(float(low), float(high)) if low < high else Range(float(min(ends)), float(max(ends)))


def polarity(image: UInt8[np.ndarray, "height width 3"], mask: UInt[np.ndarray, "height width"]) -> float:
    """Compare the mean brightness of objects, where `mask` is over 0, with that of the background, both of 0 to 255.

    Returns:
        1 if objects are at least as bright as the background, -1 if they are darker. Where there are no objects or
        nothing else, the image itself says nothing; it is then taken as it is, 1.
    """
    inside = (mask > 0).view(np.uint8)
    objects, background = sum(cv2.mean(image, inside)[:3]), sum(cv2.mean(image, 1 - inside)[:3])
    return -1.0 if inside.any() and not inside.all() and objects < background else 1.0


def check_values(pixels: Shaped[np.ndarray, "..."]) -> None:
    """Refuse values that cannot be computed with.

    Raises:
        InputError: see `value_range`.
    """
    if pixels.dtype.kind not in "biuf":
        raise InputError(f"holds values of type {pixels.dtype}; save them as whole numbers or floats")
    if pixels.dtype.kind == "f":
        most = min(LARGEST, float(np.finfo(pixels.dtype).max))
        if unusable := pixels.size - np.count_nonzero(np.abs(pixels) <= most):
            raise InputError(f"has {unusable} values that are NaN, infinite or beyond {LARGEST:g}")
