"""Read what a picture file says of itself before its pixels are decoded, and refuse what cannot be trusted."""

import io
import logging
import re
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass

import tifffile

from unetseg.errors import InputError

MIN_SIDE = 8
MAX_PIXELS = 100_000_000

PNG, JPEG, BMP = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"BM"
TIFFS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
PNG_CHANNELS = {0: 1, 2: 3, 3: 3, 4: 2, 6: 4}
ORIENTATION = 0x0112
TIFF_PHOTOMETRICS = {"MINISBLACK", "RGB", "PALETTE", "YCBCR"}

logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # a broken file is told once, in this project's words


@dataclass(frozen=True)
class Header:
    """What a file says of its picture; height and width in pixels as stored, before any turning by its orientation."""

    height: int
    width: int
    channels: int
    palette: bool = False
    orientation: int = 1


def read_header(data: bytes) -> Header:
    """Read the header of a PNG, JPEG, TIFF or BMP file, known by its content and not by its name.

    Raises:
        InputError: without the file's name: for an empty, damaged or foreign file, one of fewer than `MIN_SIDE` rows or
            columns or more than `MAX_PIXELS` pixels, an animation, several pages, or CMYK.
    """
    if not data:
        raise InputError("is empty, 0 bytes")
    try:
        header = _reader(data)(data)
    except (struct.error, IndexError) as error:
        raise InputError("is cut off in its header") from error
    if min(header.height, header.width) < MIN_SIDE:
        raise InputError(f"is {header.height}x{header.width} pixels; at least {MIN_SIDE}x{MIN_SIDE} are needed")
    if header.height * header.width > MAX_PIXELS:
        rule = f"at most {MAX_PIXELS:,} in all are read, so cut it into parts"
        raise InputError(f"is {header.height}x{header.width} pixels; {rule}")
    return header


def _reader(data: bytes) -> Callable[[bytes], Header]:
    for signature, reader in ((PNG, _png), (JPEG, _jpeg), (TIFFS, _tiff), (BMP, _bmp)):
        if data.startswith(signature):
            return reader
    raise InputError("is not a PNG, JPEG, TIFF or BMP file, whatever its name says")


def _png(data: bytes) -> Header:
    """Follow the chunks, so that damage is found here and not told by libpng in its own words."""
    view, position, kind = memoryview(data), len(PNG), b""
    width, height, colour = struct.unpack_from(">II x B", data, position + 8)
    while kind != b"IEND":
        length, kind = struct.unpack_from(">I4s", data, position)
        end = position + 8 + length
        if end + 4 > len(data):
            raise InputError("is cut off: a PNG ends with IEND")
        if zlib.crc32(view[position + 4 : end]) != struct.unpack_from(">I", data, end)[0]:
            raise InputError(f"is damaged: wrong checksum in its part {kind!r}")
        if kind == b"acTL":
            raise InputError("is animated; one picture a file is read")
        position = end + 4
    return Header(height, width, PNG_CHANNELS.get(colour, 0), palette=colour == 3)


def _jpeg(data: bytes) -> Header:
    position, orientation = 2, 1
    while marker := re.compile(rb"\xff+([^\xff])").match(data, position):
        kind, start = marker[1][0], marker.end()
        (length,) = struct.unpack_from(">H", data, start)
        if 0xC0 <= kind <= 0xCF and kind not in (0xC4, 0xC8, 0xCC):  # start of frame: of any coding
            height, width, channels = struct.unpack_from(">HHB", data, start + 3)
            if channels == 4:
                raise InputError("is a CMYK picture; save it as RGB")
            return Header(height, width, channels, orientation=orientation)
        if kind == 0xE1 and data[start + 2 : start + 8] == b"Exif\0\0":
            orientation = _orientation(data[start + 8 : start + length])
        position = start + length
    raise InputError("is a damaged JPEG file")


def _orientation(exif: bytes) -> int:
    """Find the orientation, 1 to 8, in an Exif block; 1, as is, where there is none or the block is damaged."""
    order = "<" if exif.startswith(b"II") else ">"
    try:
        (directory,) = struct.unpack_from(order + "I", exif, 4)
        (count,) = struct.unpack_from(order + "H", exif, directory)
        entries = (struct.unpack_from(order + "H6xH", exif, directory + 2 + 12 * index) for index in range(count))
        return next((value for tag, value in entries if tag == ORIENTATION and 1 <= value <= 8), 1)
    except struct.error:
        return 1


def _bmp(data: bytes) -> Header:
    (size,) = struct.unpack_from("<I", data, 14)
    width, height, bits = struct.unpack_from("<HH2xH" if size == 12 else "<ii2xH", data, 18)
    return Header(abs(height), width, max(1, bits // 8), palette=bits <= 8)


def _tiff(data: bytes) -> Header:
    try:
        with tifffile.TiffFile(io.BytesIO(data)) as file:
            pages, page = len(file.pages), file.pages.first
            photometric = tifffile.PHOTOMETRIC(page.photometric).name
            orientation = int(page.tags.valueof(ORIENTATION, 1))
            sizes = int(page.imagelength), int(page.imagewidth), int(page.samplesperpixel)
    except Exception as error:  # tifffile raises whatever its parsing meets
        raise InputError("is a damaged TIFF file") from error
    header = Header(*sizes, palette=photometric == "PALETTE")
    if pages > 1:
        raise InputError(f"has {pages} pages; one picture a file is read")
    if photometric == "MINISWHITE":
        raise InputError("is a TIFF in which 0 is white, which programs take in two ways; save it with 0 as black")
    if photometric not in TIFF_PHOTOMETRICS:
        raise InputError(f"is a TIFF of kind {photometric}; save it as grey or RGB")
    if header.channels > 4:
        raise InputError(f"has {header.channels} channels; grey and RGB are read, with or without alpha")
    if orientation != 1:
        raise InputError(f"is a TIFF with orientation {orientation}; save it upright")
    return header
