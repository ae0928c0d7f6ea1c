"""Read rows of one page of a TIFF file: decode no more strips or tiles than hold them, and notice damage."""

from collections.abc import Callable
from typing import Any

import imagecodecs
import numpy as np
import tifffile
from tifffile import COMPRESSION

from unetseg.errors import InputError
from unetseg.images.rasters import MAX_BYTES, check_encoded
from unetseg.images.stacks import Values

ENCODED = {  # compressions with sizes of their own, which are checked before memory is taken
    COMPRESSION.JPEG: "JPEG",
    COMPRESSION.APERIO_JP2000_YCBC: "JPEG2000",
    COMPRESSION.APERIO_JP2000_RGB: "JPEG2000",
    COMPRESSION.JPEG2000: "JPEG2000",
    COMPRESSION.PNG: "PNG",
    COMPRESSION.WEBP: "WEBP",
}
UNSUMMED = {  # compressions without a checksum: damage shows only in how much they unpack to
    COMPRESSION.LZW: imagecodecs.lzw_decode,
    COMPRESSION.PACKBITS: imagecodecs.packbits_decode,
}


def read_rows(series: tifffile.TiffPageSeries, number: int, start: int, stop: int) -> Values:
    """Read rows of page `number` of a series, from `start` to one before `stop`: all its samples, as stored.

    Raises:
        InputError: if the page is missing or damaged, or its strips or tiles are too large.
    """
    page = series.keyframe
    if series.dataoffset is not None and (page.planarconfig == 1 or page.samplesperpixel == 1):
        return _read_mapped(series, number, start, stop)
    return _decode(find_page(series, number), page, start, stop)


def find_page(series: tifffile.TiffPageSeries, number: int) -> Any:
    """Return a page of a series; a missing one would be black."""
    if (page := series[number]) is None:
        raise InputError(f"is missing plane {number + 1} of {len(series)}: its metadata name no page for it")
    return page


def find_segment(page: Any, index: int) -> tuple[int, int]:
    """Return offset and length of a strip or tile; a missing one would be black."""
    offset, length = int(page.dataoffsets[index]), int(page.databytecounts[index])
    if not offset or not length:
        raise InputError(f"is missing pixels: strip or tile {index + 1} of {len(page.dataoffsets)} is empty")
    return offset, length


def _read_mapped(series: tifffile.TiffPageSeries, number: int, start: int, stop: int) -> Values:
    """Read rows that are stored uncompressed."""
    page, file = series.keyframe, series.keyframe.parent.filehandle
    stored = np.dtype(page.dtype).newbyteorder(page.parent.byteorder)
    row = page.imagewidth * page.samplesperpixel * stored.itemsize
    file.seek((series.dataoffset or 0) + number * page.nbytes + start * row)
    values = np.frombuffer(file.read((stop - start) * row), stored)
    return values.reshape(stop - start, page.imagewidth, -1).astype(stored.newbyteorder("="), copy=False)


def _decode(page: Any, key: Any, start: int, stop: int) -> Values:
    """Decode the strips or tiles that contain rows; `key` describes all pages of the series."""
    file, height, width, dtype = key.parent.filehandle, key.imagelength, key.imagewidth, np.dtype(key.dtype)
    apart = key.samplesperpixel if key.planarconfig == 2 else 1
    down, wide = (key.tilelength, key.tilewidth) if key.is_tiled else (key.rowsperstrip, width)
    together = key.samplesperpixel // apart
    if (unpacked := min(down, height) * wide * together * dtype.itemsize) > MAX_BYTES:
        rule = f"at most {MAX_BYTES // 2**20} are read; save it in smaller ones"
        raise InputError(f"is compressed in strips or tiles of {unpacked / 2**20:,.0f} MiB; {rule}")
    across, rows = -(-width // wide), -(-height // down)
    values = np.empty((stop - start, width, key.samplesperpixel), dtype)
    for sample in range(apart):
        first = sample * rows * across
        for index in range(first + start // down * across, first + -(-stop // down) * across):
            offset, length = find_segment(page, index)
            file.seek(offset)
            data = file.read(length)
            if key.compression in ENCODED:
                tables = (page.jpegtables or b"")[:-2]
                check_encoded(ENCODED[key.compression], tables + data[2 * bool(tables) :], down * wide)
            if key.compression in UNSUMMED and key.fillorder == 1:
                left = down if key.is_tiled else min(down, height - index % (rows * across) * down)
                line = -(-wide * together * key.bitspersample // 8)
                _check_length(UNSUMMED[key.compression], data, {left * line, down * line})
            segment, (_, _, row, column, _), _ = key.decode(data, index, jpegtables=page.jpegtables)
            segment = segment[0, max(0, start - row) : max(0, stop - row), : width - column]
            row = max(0, row - start)
            part = values[row : row + segment.shape[0], column : column + segment.shape[1]]
            part[..., sample : sample + together] = segment
    return values


def _check_length(decode: Callable[..., bytes | bytearray], data: bytes, lengths: set[int]) -> None:
    """Refuse a strip or tile that does not unpack to what it should hold; the last strip may be short or padded."""
    if (length := len(decode(data, out=max(lengths) + 1))) not in lengths:
        raise InputError(f"is damaged: a strip or tile unpacks to {length:,} bytes or more, not to {min(lengths):,}")
