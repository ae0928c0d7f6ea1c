"""Decode one picture file, whatever its kind, into RGB of 8 bit."""

import io
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import tifffile
from jaxtyping import Shaped, UInt8

from unetseg.errors import InputError
from unetseg.images.headers import TIFFS, Header, read_header

AS_STORED = cv2.IMREAD_UNCHANGED | cv2.IMREAD_IGNORE_ORIENTATION

cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # a broken file is told once, in this project's words


@dataclass(frozen=True)
class Picture:
    """A decoded file: its values as stored, of any type, grey or RGB, without alpha; and its header."""

    pixels: Shaped[np.ndarray, "height width channels"]
    header: Header


def read_image(path: Path) -> UInt8[np.ndarray, "height width 3"]:
    """Read a PNG, JPEG, TIFF or BMP file as RGB, 0 to 255; see `decode` and `to_rgb`.

    Raises:
        InputError: naming the file and what is wrong with it.
    """
    return to_rgb(read_picture(path).pixels)


def read_picture(path: Path) -> Picture:
    """Read a PNG, JPEG, TIFF or BMP file as it is stored; see `decode`.

    Raises:
        InputError: naming the file and what is wrong with it.
    """
    try:
        return decode(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def decode(data: bytes) -> Picture:
    """Decode the content of a picture file: grey, RGB or palette, with or without alpha, of any bit depth.

    Alpha is dropped, a palette becomes its colours. The pixels are taken as stored: an orientation in the file turns
    nothing, so that a mask drawn on the array of pixels fits.

    Raises:
        InputError: saying what is wrong with it, without the file's name, which is not known here.
    """
    header = read_header(data)
    stored = _decode_tiff(data) if data.startswith(TIFFS) else None
    if stored is None:
        stored = _decode(data)
    if stored is None or stored.shape[:2] != (header.height, header.width):
        raise InputError("is damaged or cannot be decoded; save it as PNG")
    if stored.dtype.kind == "f":
        with np.errstate(over="ignore"):
            stored = stored.astype(np.float32)
        if unusable := stored.size - np.count_nonzero(np.isfinite(stored)):
            raise InputError(f"has {unusable} values that are NaN or infinite")
    return Picture(np.atleast_3d(stored), header)


def to_rgb(pixels: Shaped[np.ndarray, "height width channels"]) -> UInt8[np.ndarray, "height width 3"]:
    """Turn one or three channels of any type into RGB, 0 to 255.

    8-bit values stay. Others are scaled so that the picture's own minimum becomes 0 and its maximum 255, over all its
    channels together: a 12-bit camera's picture in a 16-bit file is not black, and colours stay what they are.
    """
    if pixels.dtype != np.uint8:
        low, high = float(pixels.min()), float(pixels.max())
        scaled = np.subtract(pixels, low, dtype=np.float64) * (255 / ((high - low) or 1))
        pixels = np.rint(scaled).astype(np.uint8)
    return np.ascontiguousarray(np.broadcast_to(pixels, (*pixels.shape[:2], 3)))


def _decode(data: bytes) -> Shaped[np.ndarray, "height width *channels"] | None:
    try:
        stored = cv2.imdecode(np.frombuffer(data, np.uint8), AS_STORED)
    except cv2.error:
        return None
    return stored[..., 2::-1] if stored is not None and stored.ndim == 3 else stored  # from BGR or BGRA


def _decode_tiff(data: bytes) -> Shaped[np.ndarray, "height width *channels"] | None:
    """Decode plain grey and RGB, which OpenCV multiplies by alpha; leave compressions and colours to it otherwise."""
    try:
        with tifffile.TiffFile(io.BytesIO(data)) as file:
            page = file.pages.first
            if page.photometric not in (tifffile.PHOTOMETRIC.MINISBLACK, tifffile.PHOTOMETRIC.RGB):
                return None
            pixels = page.asarray()
    except Exception:  # tifffile raises whatever its parsing meets
        return None
    if pixels.shape != page.shape or page.axes not in ("YX", "YXS", "SYX"):
        return None
    if page.axes == "SYX":
        pixels = np.moveaxis(pixels, 0, -1)
    return pixels[..., :3] if page.samplesperpixel >= 3 else pixels.reshape(*pixels.shape[:2], -1)[..., 0]
