"""Open an image file of any format, for training and prediction alike."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path, PurePosixPath

import numpy as np
from jaxtyping import Shaped, UInt8

from unetseg.errors import InputError
from unetseg.images.intensity import Range, check_values, to_rgb, value_range
from unetseg.images.names import SUFFIXES, VENDORS, ZARR
from unetseg.images.rasters import MAX_BYTES, check_sides, check_size, in_our_words, read_raster
from unetseg.images.stacks import Channel, Metadata, Project, Rows, Stack, choose, count_planes, find_metadata
from unetseg.images.storage import is_zarr_image
from unetseg.images.tiffs import MAGIC, is_tiff, open_tiff
from unetseg.images.tiling import cut_rows
from unetseg.images.volumes import open_vendor, open_zarr

ZARR_FILES = ("zarr.json", ".zgroup", ".zattrs")  # one of them stands in each folder that is an OME-Zarr image
LARGE = 2**26  # pixels; of a larger image only the rows in use are in memory


@dataclass(frozen=True)
class Stored:
    """An image as stored in its file.

    Attributes:
        pixels: of any type, grey or RGB, without alpha.
        channels: of the file.
        orientation: as Exif has it, 1 to 8; the pixels are as stored, so that a mask drawn on them fits.
        white_is_zero: whether the file stores white as 0; the pixels have 0 as black.
        pixel: height and width of a pixel in µm, where the file has them.
        channel: what its one channel was chosen by, else its name where the file has one.
    """

    pixels: Shaped[np.ndarray, "height width channels"]
    channels: int = 1
    orientation: int = 1
    white_is_zero: bool = False
    pixel: tuple[float, float] | None = None
    channel: str = ""


@dataclass(frozen=True)
class Opened:
    """An image whose rows can be read.

    Attributes:
        height: in pixels.
        width: in pixels.
        pixel: height and width of a pixel in µm, where the file has them.
        stored: gives the rows from a first one to one before the last, as stored: of any type, grey or RGB.
        rows: gives them as RGB, 0 to 255, as training sees them.
        span: finds the range of values that is shown, for which the whole image is read once; None: of 8 bit, all.
    """

    height: int
    width: int
    pixel: tuple[float, float] | None
    stored: Rows
    rows: Rows
    span: Callable[[], Range | None]


def read_image(
    path: Path | str, plane: int | None = None, *, channel: Channel = "all", project: Project = "none"
) -> UInt8[np.ndarray, "height width 3"]:
    """Read an image as RGB, 0 to 255; see `open_image`, which gives the same values, and `read_stored`.

    Raises:
        InputError: naming the file and what is wrong with it.
    """
    return to_rgb(read_stored(path, plane, channel=channel, project=project).pixels)


def read_stored(
    path: Path | str, plane: int | None = None, *, channel: Channel = "all", project: Project = "none"
) -> Stored:
    """Read an image as it is stored, all of it.

    Raises:
        InputError: naming the file and what is wrong with it; see `open_image` and `unetseg.images.rasters.check_size`.
    """
    with naming(path), _open(path) as stack:
        rows = choose(stack, plane, channel, project)
        check_size(stack.height, stack.width, stack.channels * stack.dtype.itemsize)
        pixels = rows(0, stack.height)
        about = find_metadata(stack, plane, project)
    with naming(path, plane):
        check_values(pixels)
    known = str(channel) if channel != "all" else "".join(about.names) if stack.channels == 1 else ""
    return Stored(pixels, stack.channels + stack.alpha, stack.orientation, stack.white_is_zero, about.pixel, known)


@contextmanager
def open_image(
    path: Path | str,
    plane: int | None = None,
    large: int = LARGE,
    *,
    channel: Channel = "all",
    project: Project = "none",
    span: Range | None = None,
) -> Iterator[Opened]:
    """Open an image for reading within the context.

    Args:
        path: the file, or the folder of an OME-Zarr; or the URL of one as text, such as `s3://…`.
        plane: which image of a file that holds several, from 0; None: the only one.
        large: an image of more pixels is read as rows are asked for, any other at once.
        channel: a number from 0, a name from the file's metadata, or "all": grey or RGB as it is.
        project: how depth becomes one image; "none": each depth is an image of its own.
        span: see `Opened`, where it is known already.

    Raises:
        InputError: naming the file and what is wrong with it.
    """
    with ExitStack() as opened:
        with naming(path):
            stack = opened.enter_context(_open(path))
            rows = choose(stack, plane, channel, project)
            check_sides(stack.height, stack.width)
            pixel = find_metadata(stack, plane, project).pixel
            size = stack.height * stack.width
            if size <= large and size * stack.channels * stack.dtype.itemsize <= MAX_BYTES:
                rows = _hold(rows(0, stack.height))
            find_span = cache(partial(_span, rows, stack))  # not needed where values are read as stored

        def named(start: int, stop: int) -> Shaped[np.ndarray, "rows width channels"]:
            with naming(path):
                return rows(start, stop)

        def shown(start: int, stop: int) -> UInt8[np.ndarray, "rows width 3"]:
            stored = named(start, stop)
            with naming(path, plane):
                return to_rgb(stored, span or find_span())

        yield Opened(stack.height, stack.width, pixel, named, shown, find_span)


def count_images(path: Path | str, project: Project = "none") -> int:
    """Count the images in a file; each is predicted separately.

    Raises:
        InputError: if the file cannot be read.
    """
    with naming(path), _open(path) as stack:
        return count_planes(stack, project)


def _hold(pixels: Shaped[np.ndarray, "height width channels"]) -> Rows:
    return lambda start, stop: pixels[start:stop]


def _span(rows: Rows, stack: Stack) -> Range | None:
    """Find the range of values to show; 8 bit needs none."""
    if stack.dtype in (np.uint8, np.bool_):
        return None
    size = stack.height, stack.width
    return value_range((rows(*strip) for strip in cut_rows(*size)), *size)


def _open(path: Path | str) -> AbstractContextManager[Stack]:
    """Open a file according to its content, vendors' files by their suffix; a folder is OME-Zarr."""
    if isinstance(path, str) and "://" in path:
        suffix = PurePosixPath(path).suffix.lower()
        zarr = suffix in ("", ZARR) or (suffix not in SUFFIXES and is_zarr_image(path))
        return open_zarr(path) if zarr else _open_url(path)
    path = Path(path)
    if path.is_dir():
        if path.suffix != ZARR and not any((path / name).exists() for name in ZARR_FILES):
            raise InputError("is a folder, and not an OME-Zarr image")
        return open_zarr(str(path))
    if path.suffix.lower() in VENDORS:
        return open_vendor(path)
    if path.exists() and not path.is_file():
        raise InputError("is a device, not a file")
    return open_tiff(path) if is_tiff(path) else nullcontext(_raster(path.read_bytes()))


@contextmanager
def _open_url(url: str) -> Iterator[Stack]:
    """Open a file on any storage that fsspec knows; of a TIFF, only the rows in use are fetched."""
    if PurePosixPath(url).suffix.lower() in VENDORS:
        raise InputError("is read from a disk only; copy it there")
    with ExitStack() as opened:
        with in_our_words():
            import fsspec  # noqa: PLC0415 - an extra

            file = opened.enter_context(fsspec.open(url, "rb"))
            tiff = file.read(4) in MAGIC
            file.seek(0)
        yield opened.enter_context(open_tiff(file)) if tiff else _raster(file.read())


def _raster(data: bytes) -> Stack:
    pixels, header = read_raster(data)
    channels = pixels.shape[2]
    return Stack(
        pixels.shape[0],
        pixels.shape[1],
        times=1,
        depths=1,
        channels=channels,
        colour=channels == 3,
        metadata=[Metadata([], None)],
        dtype=pixels.dtype,
        read=lambda _time, _depth, chosen, start, stop: (
            pixels[start:stop] if len(chosen) == channels else pixels[start:stop, :, list(chosen)]
        ),
        alpha=header.channels > channels,
        orientation=header.orientation,
    )


@contextmanager
def naming(path: Path | str, plane: int | None = None) -> Iterator[None]:
    """Name the file in what is told of it, and the plane where it is one's own values.

    Raises:
        InputError: in place of one, or of an OSError.
    """
    try:
        yield
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
    except InputError as error:
        raise InputError(f"{path if plane is None else f'{path}, plane {plane}'}: {error}") from error
