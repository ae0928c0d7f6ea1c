"""Read TIFF files of any size and any number of planes, a few rows at a time."""

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from jaxtyping import Shaped

from unetseg.errors import InputError
from unetseg.images.headers import TIFFS

MICRONS = {"µm": 1.0, "μm": 1.0, "um": 1.0, "micron": 1.0, "\\u00B5m": 1.0, "nm": 1e-3, "mm": 1e3, "cm": 1e4, "m": 1e6}
PHOTOMETRICS = ("MINISBLACK", "RGB", "YCBCR")
CENTIMETRE = 3  # TIFF's ResolutionUnit; inches are left out, they say how to print, not what was measured

logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # a broken file is told once, in this project's words


@dataclass(frozen=True)
class Plane:
    """One image of a TIFF file: the only one, or one of a stack over depth, time or channels.

    Attributes:
        height: in pixels.
        width: in pixels.
        pixel: height and width of a pixel in µm, where the file has them.
        alone: whether the file holds nothing else.
        series: what tifffile made of the file.
        number: of the plane in `series`, from 0.
    """

    height: int
    width: int
    pixel: tuple[float, float] | None
    alone: bool
    series: tifffile.TiffPageSeries
    number: int

    def rows(self, start: int, stop: int) -> Shaped[np.ndarray, "rows width channels"]:
        """Read rows as they are stored: of any type, one or three channels, without alpha.

        Only these rows are read where the file is not compressed, or in strips or tiles; all where channels lie apart.

        Raises:
            InputError: if the file is damaged there, or compressed in a way that cannot be read.
        """
        read = (
            self._apart if "S" in self.series.axes[:-1] else self._mapped if self.series.dataoffset else self._decoded
        )
        with _in_our_words(Path(self.series.keyframe.parent.filehandle.path)):
            rows = read(start, stop)
        return rows[..., :3] if rows.shape[2] >= 3 else rows[..., :1]

    def _apart(self, start: int, stop: int) -> Shaped[np.ndarray, "rows width channels"]:
        whole = np.asarray(self.series.pages[self.number].asarray())  # type: ignore[union-attr]
        return np.moveaxis(whole, 0, -1)[start:stop]

    def _mapped(self, start: int, stop: int) -> Shaped[np.ndarray, "rows width channels"]:
        keyframe, parent = self.series.keyframe, self.series.keyframe.parent
        stored = np.dtype(keyframe.dtype).newbyteorder(parent.byteorder)
        shape = (stop - start, self.width, keyframe.samplesperpixel)
        first = (self.number * self.height + start) * self.width * shape[2] * stored.itemsize
        parent.filehandle.seek((self.series.dataoffset or 0) + first)
        data = parent.filehandle.read(prod(shape) * stored.itemsize)
        return np.frombuffer(data, stored).reshape(shape).astype(stored.newbyteorder("="), copy=False)

    def _decoded(self, start: int, stop: int) -> Shaped[np.ndarray, "rows width channels"]:
        page: Any = self.series.pages[self.number]
        key, file = self.series.keyframe, self.series.keyframe.parent.filehandle
        rows = np.zeros((stop - start, self.width, key.samplesperpixel), key.dtype)
        down, across = key.chunks[0], key.chunked[1]
        for index in range(start // down * across, -(-stop // down) * across):
            file.seek(page.dataoffsets[index])
            data = file.read(page.databytecounts[index])
            segment, (_, _, row, column, _), _ = key.decode(data, index, jpegtables=key.jpegtables)
            if segment is not None:
                segment = segment[0, max(0, start - row) : max(0, stop - row), : self.width - column]
                row = max(0, row - start)
                rows[row : row + segment.shape[0], column : column + segment.shape[1]] = segment
        return rows


def is_tiff(path: Path) -> bool:
    """Tell by its content whether a file is a TIFF; one that cannot be read is none."""
    try:
        with path.open("rb") as file:
            return file.read(4) in TIFFS
    except OSError:
        return False


def count_planes(path: Path) -> int:
    """Count the planes of a TIFF file that are as high and wide as the first one; others are previews and labels.

    Raises:
        InputError: if it is no TIFF file.
    """
    with _in_our_words(path), tifffile.TiffFile(path) as tiff:
        return len(_planes(tiff))


@contextmanager
def open_plane(path: Path, number: int) -> Iterator[Plane]:
    """Open a plane of a TIFF file, to be read while the context lasts.

    Raises:
        InputError: if the file is no TIFF, damaged, or neither grey nor RGB.
    """
    with ExitStack() as stack:
        with _in_our_words(path):
            tiff = stack.enter_context(tifffile.TiffFile(path))
            planes = _planes(tiff)
            series, place = planes[number]
            plane = Plane(*_size(series), _pixel_size(tiff), len(planes) == len(tiff.pages) == 1, series, place)
            photometric = tifffile.PHOTOMETRIC(series.keyframe.photometric).name
        if photometric not in PHOTOMETRICS:
            raise InputError(f"{path}: is a TIFF of kind {photometric}; save it as grey or RGB")
        yield plane


@contextmanager
def _in_our_words(path: Path) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        # what damage leads tifffile and its codecs to has no common class
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise InputError(f"{path}: cannot be read as a TIFF: {reason}") from error


def _planes(tiff: tifffile.TiffFile) -> list[tuple[tifffile.TiffPageSeries, int]]:
    first = _size(tiff.series[0])
    return [
        (series, number)
        for series in tiff.series
        if _size(series) == first
        for number in range(prod(n for n, axis in zip(series.shape, series.axes, strict=True) if axis not in "YXS"))
    ]


def _size(series: tifffile.TiffPageSeries) -> tuple[int, int]:
    return series.keyframe.imagelength, series.keyframe.imagewidth


def _pixel_size(tiff: tifffile.TiffFile) -> tuple[float, float] | None:
    """Find the size of a pixel in µm, where OME or ImageJ say it or the resolution is in centimetres."""
    if tiff.ome_metadata:
        images = tifffile.xml2dict(tiff.ome_metadata)["OME"]["Image"]
        pixels = (images[0] if isinstance(images, list) else images)["Pixels"]
        sizes = [(pixels.get(f"PhysicalSize{axis}"), pixels.get(f"PhysicalSize{axis}Unit", "µm")) for axis in "YX"]
        return _microns([(float(size or 0), unit) for size, unit in sizes])
    tags = tiff.pages.first.tags
    unit = str((tiff.imagej_metadata or {}).get("unit", ""))
    if unit not in MICRONS and tags.valueof("ResolutionUnit") == CENTIMETRE:
        unit = "cm"
    resolutions = [tags.valueof(f"{axis}Resolution", (0, 1)) for axis in "YX"]
    return _microns([(below / above if above else 0.0, unit) for above, below in resolutions])


def _microns(sizes: list[tuple[float, str]]) -> tuple[float, float] | None:
    (height, down), (width, across) = sizes
    if not (height > 0 and width > 0 and down in MICRONS and across in MICRONS):
        return None
    return height * MICRONS[down], width * MICRONS[across]
