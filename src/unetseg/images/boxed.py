"""Read what is not zero in a grey PNG: a mask of one object is mostly zeros, which need not become an array."""

import zlib
from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import UInt8
from PIL import Image
from zlib_ng import zlib_ng

from unetseg.images.headers import PNG, Header

GREY_OF_8_BIT = bytes((8, 0, 0, 0, 0))  # depth, colour type, compression, filters, not interlaced
FIRST = len(PNG) + 25  # the first part of a PNG, IHDR, ends here
FILTERS = 5
AROUND = 12  # bytes of a part around its content: length, kind, checksum


class Boxed(NamedTuple):
    """The rows and columns around all that is not zero, and the values there."""

    box: tuple[slice, slice]
    values: UInt8[np.ndarray, "rows columns"]


def decode_boxed(data: bytes, header: Header) -> Boxed | None:
    """Decode the content of a PNG of the plainest kind: grey, 8 bit, all of it in one part.

    Args:
        data: whose parts and checksums `read_header` found to be in order.
        header: what it found.

    Returns:
        What `unetseg.images.pictures.decode` would find, without the zeros around it; `None` if the file is of another
        kind or cannot be decoded.
    """
    length = int.from_bytes(data[FIRST : FIRST + 4])
    last = FIRST + AROUND + length
    if not data.startswith(PNG) or data[FIRST - 9 : FIRST - 4] != GREY_OF_8_BIT:
        return None
    if data[FIRST + 4 : FIRST + 8] != b"IDAT" or data[last + 4 : last + 8] != b"IEND":
        return None
    shape = header.height, 1 + header.width  # a row begins with the number of its filter
    unpacker = zlib_ng.decompressobj()
    try:
        unpacked = unpacker.decompress(data[FIRST + 8 : last - 4], shape[0] * shape[1] + 1)  # whatever it holds beyond
        filtered = np.frombuffer(unpacked, np.uint8).reshape(shape)
        return _unfilter(filtered) if unpacker.eof and filtered[:, 0].max() < FILTERS else None
    except (zlib_ng.error, ValueError):  # type: ignore[misc]  # its stub takes this class for an instance
        return None


def _unfilter(filtered: UInt8[np.ndarray, "height row"]) -> Boxed:
    """Undo the filters of PNG, each of which makes zeros of zeros below, right of or between zeros.

    So nothing stands above the first row that is not zero as it is stored. Below the last one goes on what its own
    values and the filters make of the row after it: mostly nothing.
    """
    _, top, _, height = cv2.boundingRect(filtered[:, 1:])
    for rows in (filtered[top : top + height + 1], filtered[top:]):
        picture = _picture(rows)
        left, first, right, stop = picture.getbbox() or (0, 0, 0, 0)
        if stop < len(rows):
            break
    values = np.asarray(picture.crop((left, first, right, stop))).reshape(stop - first, right - left)
    return Boxed((slice(top + first, top + stop), slice(left, right)), values)


def _picture(filtered: UInt8[np.ndarray, "height row"]) -> Image.Image:
    """Let Pillow undo the filters of these rows: packed anew without compression, they are what it takes."""
    height, row = filtered.shape
    return Image.frombytes("L", (row - 1, height), zlib.compress(filtered.tobytes(), 0), "zip", "L")
