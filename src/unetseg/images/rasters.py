"""Decode PNG, JPEG, JPEG 2000 and BMP files with decoders that report damage."""

import io
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import cv2
import imagecodecs
import numpy as np
from jaxtyping import Shaped
from PIL import Image

from unetseg.errors import InputError, first_line

MIN_SIDE = 8
MAX_PIXELS = 100_000_000  # limit for an image in memory
MAX_BYTES = 2**29  # limit for decoded pixels in memory: a small file may unpack to any size
PADDING = 24  # bytes that encoders may append to the last pixel of a JPEG
JPEG_END = b"\xff\xd9"
CODESTREAM = b"\xff\x4f\xff\x51"  # the pixels of JPEG 2000 start here
ORIENTATION = 0x0112  # of Exif

SIGNATURES = {
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"\0\0\0\x0cjP  ": "JPEG2000",
    CODESTREAM: "JPEG2000",
    b"BM": "BMP",
}

Image.MAX_IMAGE_PIXELS = None  # the limits above have messages of their own
for library in ("PIL", "imagecodecs"):
    logging.getLogger(library).setLevel(logging.CRITICAL)  # report a broken file only once


@dataclass(frozen=True)
class Header:
    """The header of an image; height and width in pixels as stored, before any rotation by its orientation."""

    height: int
    width: int
    channels: int
    orientation: int = 1


def read_raster(data: bytes) -> tuple[Shaped[np.ndarray, "height width channels"], Header]:
    """Decode a file according to its content, not its name.

    A palette becomes its colours, alpha that is one value everywhere is dropped.

    Raises:
        InputError: without the file's name: for an empty, damaged or foreign file, one beyond the limits, an animation,
            CMYK, or alpha that varies.
    """
    kind = next((kind for signature, kind in SIGNATURES.items() if data.startswith(signature)), None)
    if kind is None:
        raise InputError(
            "is empty, 0 bytes" if not data else f"is not one of {', '.join(KINDS)}, whatever its name says"
        )
    with in_our_words("is damaged or cut off"), Image.open(io.BytesIO(data), formats=[kind]) as image:
        header = _header(image, data)
        pixels = KINDS[kind](data, image)
    pixels = np.atleast_3d(pixels)
    if pixels.shape[:2] != (header.height, header.width):
        raise InputError("is damaged: its pixels are not as many as it says")
    if pixels.shape[2] in (2, 4):
        check_alpha(pixels[..., -1], pixels[0, 0, -1])
        quick = pixels.shape[2] == 4 and pixels.dtype in (np.uint8, np.uint16)  # pixels in a row: 15 times as fast
        pixels = cv2.cvtColor(pixels, cv2.COLOR_RGBA2RGB) if quick else pixels[..., :-1]
    return pixels, header


def check_sides(height: int, width: int) -> None:
    """Refuse an image that is too small for the network, as `check_size` does."""
    if min(height, width) < MIN_SIDE:
        raise InputError(f"is {height}x{width} pixels; at least {MIN_SIDE}x{MIN_SIDE} are needed")


def check_size(height: int, width: int, bytes_per_pixel: int) -> None:
    """Refuse an image that is too small for the network, or too large for memory.

    Raises:
        InputError: saying the size and the rule.
    """
    check_sides(height, width)
    if height * width > MAX_PIXELS:
        rule = f"at most {MAX_PIXELS:,} in all are read at once; cut it into parts"
        raise InputError(f"is {height}x{width} pixels; {rule}")
    if (needed := height * width * bytes_per_pixel) > MAX_BYTES:
        raise InputError(f"unpacks to {needed / 2**20:,.0f} MiB; at most {MAX_BYTES // 2**20} MiB are read at once")


def check_alpha(alpha: Shaped[np.ndarray, "height width"], corner: Shaped[np.ndarray, ""] | np.generic) -> None:
    """Refuse alpha that differs from that of the first pixel, `corner`: what is seen would depend on what lies behind.

    Raises:
        InputError: saying what to do.
    """
    if not (alpha == corner).all():
        raise InputError("has an alpha channel that varies; save it flat, without transparency")


def check_encoded(kind: str, data: bytes, pixels: int) -> None:
    """Refuse an encoded image, or a strip or tile of one, that claims to have more pixels than it should or is damaged.

    libjpeg fills damaged pixels with grey and only warns. JPEG XL packs a JPEG losslessly, so every bit of it must have
    a meaning there. Without its last bytes a sound JPEG does not pack, or has other pixels; a damaged one may end
    early, with bytes left. `kind` is one of `KINDS` or "WEBP".

    Raises:
        InputError: if it is damaged, or of a kind that is too rare to be checked.
    """
    start = max(0, data.find(CODESTREAM)) if kind == "JPEG2000" else 0  # what surrounds it may claim another size
    with Image.open(io.BytesIO(data[start:]), formats=[kind]) as image:
        if image.width * image.height > pixels:
            raise InputError(f"is damaged: a part of it claims to be {image.height}x{image.width} pixels")
    if kind == "JPEG":
        if not _packs(data):
            raise InputError("is a damaged JPEG, or one of a rare kind; save it as PNG")
        shorter = data[: -2 - PADDING] + JPEG_END
        if data.endswith(JPEG_END) and _packs(shorter) and _same_pixels(shorter, data):
            raise InputError("is a damaged JPEG: its pixels end before the file does")


def _same_pixels(data: bytes, other: bytes) -> bool:
    return np.array_equal(imagecodecs.jpeg8_decode(data), imagecodecs.jpeg8_decode(other))


def _packs(data: bytes) -> bool:
    try:
        imagecodecs.jpegxl_encode_jpeg(data)
    except Exception:  # imagecodecs names no class for it
        return False
    return True


@contextmanager
def in_our_words(what: str = "is damaged, or of a kind that cannot be read") -> Iterator[None]:
    """Turn what a library raises into an `InputError` that says `what`; codecs raise many classes on damaged data."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"{what}: {first_line(error)}") from error


def _header(image: Image.Image, data: bytes) -> Header:
    """Check what is known before the pixels are decoded."""
    deep = image.format == "PNG" and data[24] == 16
    bands = 4 if image.mode == "P" else len(image.getbands())
    check_size(image.height, image.width, bands * (2 if deep or image.mode.startswith("I;16") else 1))
    if image.mode == "CMYK":
        raise InputError("is a CMYK image; save it as RGB")
    if image.format == "MPO":
        raise InputError("holds several pictures, as cameras of phones write them; save the one you need as PNG")
    if image.format == "PNG" and getattr(image, "is_animated", False):
        raise InputError("is animated; animated images are not supported")
    tagged = image.format != "PNG" or b"eXIf" in data or b"exif" in data  # Pillow decodes a PNG to look for it
    orientation = int(image.getexif().get(ORIENTATION, 1)) if tagged else 1
    channels = 3 if image.mode == "P" else len(image.getbands())
    return Header(image.height, image.width, channels, orientation if 1 <= orientation <= 8 else 1)


def _png(data: bytes, image: Image.Image) -> Shaped[np.ndarray, "height width *channels"]:
    """Decode by libpng, which knows 16 bit colours; Pillow looks through the checksums, and palettes."""
    with Image.open(io.BytesIO(data), formats=["PNG"]) as again:
        again.verify()
    palette = image.palette
    if palette and np.asarray(image).max() >= len(palette.palette) // len(palette.mode):
        raise InputError("is damaged: it has pixels of colours that its palette does not hold")
    return np.asarray(imagecodecs.png_decode(data))


def _jpeg(data: bytes, image: Image.Image) -> Shaped[np.ndarray, "height width *channels"]:
    check_encoded("JPEG", data, image.width * image.height)
    return np.asarray(image)


def _jpeg2000(data: bytes, image: Image.Image) -> Shaped[np.ndarray, "height width *channels"]:
    check_encoded("JPEG2000", data, image.width * image.height)
    return np.asarray(imagecodecs.jpeg2k_decode(data))


def _bmp(_: bytes, image: Image.Image) -> Shaped[np.ndarray, "height width *channels"]:
    return np.asarray(image.convert("RGB") if image.mode == "P" else image)


KINDS: dict[str, Callable[[bytes, Image.Image], Shaped[np.ndarray, "height width *channels"]]] = {
    "PNG": _png,
    "JPEG": _jpeg,
    "JPEG2000": _jpeg2000,
    "BMP": _bmp,
}
