"""Write PNG and TIFF files a few rows at a time, so that no image has to fit in memory."""

import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt
import tifffile
from jaxtyping import Shaped, UInt8

UP = 2  # PNG's filter: each row less the one above it, which makes masks almost all zero
GREY, RGB = 0, 2  # PNG's colour types


@contextmanager
def png_rows(
    path: Path, height: int, width: int, channels: int
) -> Iterator[Callable[[UInt8[np.ndarray, "rows width channels"]], None]]:
    """Write a PNG of 8 bit, grey or RGB (PNG specification, third edition, W3C 2025).

    Yields:
        A function that takes the next rows from the top; `height` in all.
    """
    compressor = zlib.compressobj(3)
    above = np.zeros((1, width * channels), np.uint8)

    def add(rows: UInt8[np.ndarray, "rows width channels"]) -> None:
        nonlocal above
        lines = np.concatenate([above, rows.reshape(len(rows), -1)])
        above = lines[-1:]
        filtered = np.pad(np.diff(lines, axis=0), ((0, 0), (1, 0)), constant_values=UP)
        _chunk(b"IDAT", compressor.compress(filtered.tobytes()))

    def _chunk(kind: bytes, data: bytes) -> None:
        file.write(struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)))

    with path.open("wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n")
        _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, GREY if channels == 1 else RGB, 0, 0, 0))
        yield add
        _chunk(b"IDAT", compressor.flush())
        _chunk(b"IEND", b"")


@contextmanager
def tiff_rows(
    path: Path, height: int, width: int, dtype: npt.DTypeLike
) -> Iterator[Callable[[Shaped[np.ndarray, "rows width"]], None]]:
    """Write a grey TIFF (BigTIFF where it must be), uncompressed, so that programs can map it into memory.

    Yields:
        A function that takes the next rows from the top; `height` in all.
    """
    place = tifffile.imwrite(
        path, shape=(height, width), dtype=dtype, photometric="minisblack", metadata=None, returnoffset=True
    )
    if place is None:
        raise ValueError(f"{path}: no place for {height}x{width} values")
    with path.open("r+b") as file:
        file.seek(place[0])
        yield lambda rows: rows.astype(dtype, order="C").tofile(file)
