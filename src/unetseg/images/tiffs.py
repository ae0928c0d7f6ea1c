"""Read TIFF files of any size, a few rows at a time: stacks, hyperstacks, OME-TIFF, pyramids."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import cached_property
from math import prod
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import tifffile
from jaxtyping import Float32, Shaped, UInt16
from tifffile import COMPRESSION, PHOTOMETRIC

from unetseg.errors import InputError
from unetseg.images.rasters import MAX_BYTES, ORIENTATION, check_alpha, check_sides, in_our_words
from unetseg.images.resampling import resize
from unetseg.images.stacks import Metadata, Stack, Values
from unetseg.images.tiff_metadata import (
    channel_names,
    common_pixel_size,
    is_implausible,
    overviews,
    pixel_size,
    stains,
)
from unetseg.images.tiff_pages import ENCODED, find_page, find_segment, read_rows

MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
COLOURS = (PHOTOMETRIC.RGB, PHOTOMETRIC.YCBCR)
GREYS = (PHOTOMETRIC.MINISBLACK, PHOTOMETRIC.MINISWHITE, PHOTOMETRIC.PALETTE)
SLIDES = {"svs", "scn", "ndpi", "bif", "philips", "avs", "qpi"}  # slide formats that also hold a label and previews
DEPTHS = "ZIQ"  # depth, and pages of no known meaning
BESIDE = {"label", "macro", "map", "overview", "preview", "thumbnail"}  # names that these formats give them
COMPARED = 2**24  # pixels by which an image is compared to one that may be a smaller copy
SLOW = 8  # what changes over more than this part of a side, such as the light of a lamp, is not compared
FLAT = 1e-6  # standard deviation of what is left of a blank image by rounding, as a part of its values
ALIKE = 0.4  # least correlation of the two; that of every second pixel of white noise, the worst case, is 0.5
LISTED = 0.9  # the same where OME lists both, as images of their own
RAMP = 256  # least number of entries of a palette that only says in which colour to display values

logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # report a broken file once, with our message


def is_tiff(path: Path) -> bool:
    """Tell a TIFF file by its first bytes, whatever its name."""
    with path.open("rb") as file:
        return file.read(4) in MAGIC


@contextmanager
def open_tiff(file: Path | Any) -> Iterator[Stack]:
    """Open a TIFF file, by its path or as a file of fsspec, for reading within the context.

    Only what this file holds is read, never another one that its metadata name. Metadata that are wrong cost no more
    than what they tell: the size of a pixel, the names of channels, the meaning of pages.

    Raises:
        InputError: without the file's name: if it is damaged, or neither grey nor RGB nor channels of grey.
    """
    with ExitStack() as stack:
        with in_our_words():
            tiff = given = stack.enter_context(tifffile.TiffFile(file, _multifile=False))
            pages = len(tiff.pages)  # ends a chain that leads back to itself, which `series` would follow for ever
            stated = stains(tiff)
            if (tiff.is_ome or tiff.is_imagej) and not _told_rightly(tiff, pages):
                tiff = stack.enter_context(tifffile.TiffFile(file, is_ome=False, is_imagej=False))
                _ = len(tiff.pages)
            parts = _alike(tiff)
            first, numbers = parts[0], [tiff.series.index(part.series) for part in parts]
            if tiff is given:
                told = [(channel_names(tiff, number, first.channels), pixel_size(tiff, number)) for number in numbers]
                metadata = [Metadata(names, pixel) for names, pixel in told]
            else:
                pixel = common_pixel_size(given, first.height, first.width) or pixel_size(tiff, numbers[0])
                metadata = [Metadata([], pixel)]
            opened = Stack(
                first.height,
                first.width,
                times=len(parts) * first.times,
                depths=first.depths,
                channels=first.channels,
                colour=first.colour,
                metadata=metadata,
                dtype=first.dtype,
                read=lambda time, *place: parts[time // first.times].read(time % first.times, *place),
                alpha=first.alpha,
                white_is_zero=first.kind == PHOTOMETRIC.MINISWHITE,
                unclear=stated > first.channels + first.alpha,
            )
        yield opened


def _told_rightly(tiff: tifffile.TiffFile, pages: int) -> bool:
    """Tell whether what OME or ImageJ say of the pages fits: no more than there are, and none left out."""
    if tiff.ome_metadata and is_implausible(tiff.ome_metadata, pages):
        return False
    try:
        return sum(each.size // each.keyframe.size for each in tiff.series) >= pages
    except (TypeError, ValueError, KeyError, IndexError):
        return False


class _Series:
    """Images of a file that belong together, and where their rows are."""

    def __init__(self, series: tifffile.TiffPageSeries) -> None:
        self.series, page = series, series.keyframe
        self.page = page
        self.kind = PHOTOMETRIC(page.photometric)
        _check_kind(page, self.kind)
        if 1 in (page.imagelength, page.imagewidth):
            check_sides(int(page.imagelength), int(page.imagewidth))
        self.palette = _palette(page)
        dims = [each for each in zip(series.axes, map(int, series.shape), strict=True) if each[1] > 1]
        inside = sum(length > 1 for length in page.shape)
        axes = "".join(axis for axis, _ in dims)
        self.together = "Z" in page.axes or not {"Y", "X"} <= set(axes[-inside:])
        if self.together:  # several images in one page, or one in several: all of it is read at once
            self.alpha, self.samples = False, 1
            self.leading = [each for each in dims if each[0] not in "YX"]
            sizes = dict(dims)
            self.height, self.width = sizes["Y"], sizes["X"]
            self.dims = axes
        else:
            self.alpha = page.samplesperpixel in (2, 4) and tuple(page.extrasamples) in ((1,), (2,))
            self.samples = int(page.samplesperpixel) - self.alpha
            self.leading = dims[:-inside]
            self.height, self.width = int(page.imagelength), int(page.imagewidth)
        self._check_claims()
        self.depths, stains = (prod(n for axis, n in self.leading if axis in group) for group in (DEPTHS, "CS"))
        self.times = prod(length for _, length in self.leading) // self.depths // stains
        self.channels = 3 if self.palette is not None else stains * self.samples
        self.colour = self.palette is not None or (self.channels == 3 and self.kind in COLOURS)
        self.bits = page.bitspersample if isinstance(page.bitspersample, int) else 8  # 8 where samples differ
        self.dtype = np.dtype(np.uint8) if self.bits < 8 or self.palette is not None else np.dtype(page.dtype)

    def _check_claims(self) -> None:
        """Refuse a file that claims more planes than it has room for, because they are listed."""
        planes = prod(length for _, length in self.leading)
        file, offset = self.page.parent.filehandle, self.series.dataoffset
        if self.together:
            if (size := self.series.nbytes) > MAX_BYTES:
                raise InputError(f"stores all its planes as one, of {size / 2**20:,.0f} MiB; save them one by one")
            return
        held = len(self.page.parent.pages) if offset is None else (file.size - offset) // self.page.nbytes
        if not held:
            raise InputError("is cut off: its pixels are not all there")
        if planes > held:
            raise InputError(f"claims to hold {planes:,} planes, and has room for {held:,}")

    def read(self, time: int, depth: int, channels: Sequence[int], start: int, stop: int) -> Values:
        """See `Stack.read`."""
        with in_our_words():
            if self.palette is not None:
                return np.asarray(self.palette[self._stored(time, depth, 0, start, stop)[..., 0]][..., list(channels)])
            stains = {channel // self.samples for channel in channels}
            read = {stain: self._stored(time, depth, stain, start, stop) for stain in stains}
            if len(stains) == 1 and len(channels) == self.samples:  # all of one page, which needs no copy
                return self._shown(*read.values())
            parts = [read[channel // self.samples][..., channel % self.samples] for channel in channels]
            return self._shown(np.stack(parts, axis=-1))

    def _shown(self, values: Values) -> Values:
        """Stretch values of fewer than 8 bits to all of them, and make 0 black."""
        if self.bits < 8:
            values = values.astype(np.uint8) * np.uint8(255 // (2**self.bits - 1))
        return np.invert(values) if self.kind == PHOTOMETRIC.MINISWHITE else values

    def _stored(self, time: int, depth: int, stain: int, start: int, stop: int) -> Values:
        """Read rows of all samples of a page but for alpha."""
        place: list[int] = []
        left = {"C": stain, "Z": depth, "T": time}
        for axis, length in reversed(self.leading):
            group = "C" if axis in "CS" else "Z" if axis in DEPTHS else "T"
            left[group], index = divmod(left[group], length)
            place.insert(0, index)
        if self.together:
            return np.asarray(self._whole[tuple(place)][start:stop, :, None])
        number = int(np.ravel_multi_index(place, [length for _, length in self.leading])) if place else 0
        values = read_rows(self.series, number, start, stop)
        if not self.alpha:
            return values
        corner = values[0, 0, -1] if start == 0 else read_rows(self.series, number, 0, 1)[0, 0, -1]
        check_alpha(values[..., -1], corner)
        return values[..., :-1]

    @cached_property
    def _whole(self) -> Shaped[np.ndarray, "*leading height width"]:
        for index in range(len(self.series)):
            page = find_page(self.series, index)
            for segment in range(len(page.dataoffsets)):
                find_segment(page, segment)
        lengths = [length for length in self.series.shape if length > 1]
        values = self.series.asarray().reshape(lengths)
        return np.moveaxis(values, [self.dims.index(axis) for axis in "YX"], [-2, -1])


def _check_kind(page: tifffile.TiffPage, kind: PHOTOMETRIC) -> None:
    if kind not in COLOURS + GREYS or (kind == PHOTOMETRIC.YCBCR and page.compression != COMPRESSION.JPEG):
        raise InputError(f"is a TIFF of kind {kind.name}; save it as grey or RGB")
    if page.compression in tifffile.TIFF.IMAGE_COMPRESSIONS - set(ENCODED):
        raise InputError(f"is a TIFF in the compression {COMPRESSION(page.compression).name}; save it in another")
    if kind == PHOTOMETRIC.MINISWHITE and page.dtype is not None and page.dtype.kind not in "bu":
        raise InputError("is a TIFF with signed values in which 0 is white; save it with 0 as black")
    if (turned := page.tags.valueof(ORIENTATION, 1)) != 1:
        raise InputError(f"is a TIFF with orientation {turned}; save it upright")


def _palette(page: tifffile.TiffPage) -> Shaped[np.ndarray, "entries 3"] | None:
    """Give the colours of a palette; None where the values themselves are the image.

    Microscopes add a palette that says in which colour to display values: from black to that colour, evenly.
    """
    if page.photometric != PHOTOMETRIC.PALETTE:
        return None
    colours: UInt16[np.ndarray, "3 entries"] = np.asarray(page.colormap)
    if colours.max() <= 255:  # by old programs, in 8 bit; libtiff takes them so, too
        colours = colours * np.uint16(257)
    entries = colours.shape[1]
    even = colours[:, -1:] * np.linspace(0, 1, entries)
    if entries >= RAMP and colours[:, -1].any() and np.abs(colours - even).max() <= 257:
        return None
    return (colours.T >> 8).astype(np.uint8)


def _alike(tiff: tifffile.TiffFile) -> list[_Series]:
    """Find the images at full resolution; what is not one of them must be known to be a smaller copy or a label."""
    series = _scanned(tiff)
    largest = max(series, key=lambda each: int(each.keyframe.imagelength) * int(each.keyframe.imagewidth))
    first = _Series(largest)
    alike = [first]
    for each in series:
        if each is largest or each.keyframe.is_reduced:
            continue
        key = each.keyframe
        if (key.imagelength, key.imagewidth) != (largest.keyframe.imagelength, largest.keyframe.imagewidth):
            factor = largest.keyframe.imagewidth / key.imagewidth
            same = abs(key.imagelength * factor - largest.keyframe.imagelength) <= 2 * factor
            if factor > 1.5 and same and _is_copy(_Series(each), first, LISTED if each.kind == "ome" else ALIKE):
                continue  # a level of a pyramid that is not declared as such
            sizes = f"{first.height}x{first.width} and {key.imagelength}x{key.imagewidth}"
            raise InputError(f"holds images of {sizes} pixels; save each as a separate file")
        other = _Series(each)
        if (other.leading, other.channels, other.dtype) != (first.leading, first.channels, first.dtype):
            raise InputError("holds series of different channels, depths or types; save each as a separate file")
        alike.append(other)
    return sorted(alike, key=lambda part: series.index(part.series))


def _scanned(tiff: tifffile.TiffFile) -> list[tifffile.TiffPageSeries]:
    """Leave out the labels and previews of slides; a file that holds nothing else is read all the same."""
    whole = overviews(tiff.scn_metadata or "")

    def is_beside(series: tifffile.TiffPageSeries) -> bool:
        return (series.kind in SLIDES and series.name.casefold() in BESIDE) or series.keyframe.index in whole

    return [each for each in tiff.series if not is_beside(each)] or list(tiff.series)


def _is_copy(small: _Series, large: _Series, least: float) -> bool:
    """Tell whether an image shows in its middle rows what another one of the same proportions shows, only smaller."""
    factor = large.height / small.height
    rows = min(small.height, max(1, int(COMPARED / (large.width * factor))))
    top = (small.height - rows) // 2
    seen = small.read(0, 0, [0], top, top + rows)
    shown = large.read(0, 0, [0], round(top * factor), round((top + rows) * factor))
    shrunk = resize(shown[..., 0].astype(np.float32), rows, small.width)
    pair = np.stack([_details(seen[..., 0].astype(np.float32)).ravel(), _details(shrunk).ravel()])
    if pair.std(axis=1).min() <= FLAT * np.abs(shrunk).max():
        return False  # nothing to compare, as in blank images
    return bool(np.corrcoef(pair).min() > least)


def _details(values: Float32[np.ndarray, "height width"]) -> Float32[np.ndarray, "inner_height inner_width"]:
    """Take off what changes slowly, and the border, where that is not known."""
    height, width = values.shape
    down, across = height // (2 * SLOW), max(1, width // (2 * SLOW))
    details = values - cv2.blur(values, (2 * across + 1, 2 * down + 1))
    return np.asarray(details[down : height - down, across : width - across])
