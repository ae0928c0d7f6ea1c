"""Decode only the nonzero part of a grey PNG: a mask of one object is mostly zeros, which need no array."""

import zlib
from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import UInt8
from PIL import Image
from zlib_ng import zlib_ng

from unetseg.images.rasters import MIN_SIDE

START = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR"
GREY_OF_8_BIT = bytes((8, 0, 0, 0, 0))  # depth, colour type, compression, filters, not interlaced
FIRST = 33  # end of the first chunk of a PNG, IHDR
END = b"\0\0\0\0IEND\xaeB`\x82"
FILTERS = 5
AROUND = 12  # bytes of a chunk besides its content: length, kind, checksum


class Boxed(NamedTuple):
    """The height and width of an image, the bounding box of its nonzero pixels, and the values inside the box."""

    height: int
    width: int
    box: tuple[slice, slice]
    values: UInt8[np.ndarray, "rows columns"]


def decode_boxed(data: bytes, most: int) -> Boxed | None:
    """Decode a PNG of the simplest kind, grey of 8 bit in one IDAT chunk, if it has at most `most` pixels.

    Returns:
        What `unetseg.images.rasters` would find, without the zeros around it; `None` if the file is of another kind,
        larger or damaged.
    """
    last = FIRST + AROUND + int.from_bytes(data[FIRST : FIRST + 4])
    if not data.startswith(START) or data[FIRST - 9 : FIRST - 4] != GREY_OF_8_BIT:
        return None
    if data[FIRST + 4 : FIRST + 8] != b"IDAT" or data[last:] != END or not _are_sound(data, last):
        return None
    width, height = int.from_bytes(data[16:20]), int.from_bytes(data[20:24])
    if height * width > most or min(height, width) < MIN_SIDE:
        return None
    shape = height, 1 + width  # a row begins with the number of its filter
    unpacker = zlib_ng.decompressobj()
    try:
        unpacked = unpacker.decompress(data[FIRST + 8 : last - 4], shape[0] * shape[1] + 1)  # whatever it holds beyond
        filtered = np.frombuffer(unpacked, np.uint8).reshape(shape)
        largest = filtered.max(axis=0)
        if not unpacker.eof or largest[0] >= FILTERS:
            return None
    except (zlib_ng.error, ValueError):  # type: ignore[misc]  # its stub takes this class for an instance
        return None
    columns = largest[1:].nonzero()[0]
    start, stop = (columns[0], columns[-1] + 1) if columns.size else (0, 1)
    return Boxed(height, width, *_unfilter(filtered, int(start), int(stop)))


def _are_sound(data: bytes, last: int) -> bool:
    """Check the checksums of both chunks."""
    parts = (12, FIRST - 4), (FIRST + 4, last - 4)
    return all(zlib_ng.crc32(data[start:end]) == int.from_bytes(data[end : end + 4]) for start, end in parts)


def _unfilter(
    filtered: UInt8[np.ndarray, "height row"], start: int, stop: int
) -> tuple[tuple[slice, slice], UInt8[np.ndarray, "rows columns"]]:
    """Undo the filters of PNG, each of which makes zeros of zeros below, right of or between zeros.

    No column before `start` or from `stop` on holds a stored value that is not zero.

    So nothing stands above the first row or left of the first column that is not zero as it is stored. Below the last
    row and right of the last column goes on what the filters make of the one before it: mostly nothing.
    """
    left, top, width, height = cv2.boundingRect(filtered[:, 1 + start : 1 + stop])
    left += start
    numbers, stored = filtered[top:, :1], filtered[top:, 1 + left :]
    for rows, columns in ((height + 1, width + 1), stored.shape):
        part = np.hstack([numbers[:rows], stored[:rows, :columns]])
        packed = zlib.compress(part.data, 0)  # as in a PNG, whose filters Pillow undoes
        picture = Image.frombytes("L", (part.shape[1] - 1, len(part)), packed, "zip", "L")
        first, upper, right, lower = picture.getbbox() or (0, 0, 0, 0)
        if lower < len(part) and right < part.shape[1] - 1:
            break
    values = np.asarray(picture)[upper:lower, first:right]
    return (slice(top + upper, top + lower), slice(left + first, left + right)), values
