"""The files that are written of each image, each fed with strips from the top."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Int32

from unetseg.annotations.rasters import png_rows, tiff_rows
from unetseg.annotations.vectors import geojson, roi_zip
from unetseg.images.inputs import Input
from unetseg.images.opening import open_image
from unetseg.objects.strips import Strip

YELLOW = (240, 228, 66)  # of Okabe and Ito's palette: seen by colour-blind people, on dark and on purple


@dataclass(frozen=True)
class About:
    """What is known of an image before it is predicted.

    Attributes:
        source: its file, and what of it.
        height: in pixels.
        width: in pixels.
        threshold: probability from which a pixel is foreground.
        smallest: pixels of the smallest object.
    """

    source: Input
    height: int
    width: int
    threshold: float
    smallest: int


Add = Callable[[Strip], None]
Writer = Callable[[Path, About], AbstractContextManager[Add]]


@contextmanager
def write_mask(path: Path, about: About) -> Iterator[Add]:
    """Write 0 for background and 255 for foreground, as PNG."""
    with png_rows(path, about.height, about.width, 1) as add:
        limit = np.float32(about.threshold)
        yield lambda strip: add((strip.probability >= limit)[..., None].astype(np.uint8) * np.uint8(255))


@contextmanager
def write_probability(path: Path, about: About) -> Iterator[Add]:
    """Write the probability times 65,535, as TIFF of 16 bit."""
    with tiff_rows(path, about.height, about.width, np.uint16) as add:
        yield lambda strip: add(np.rint(strip.probability * 65535))


@contextmanager
def write_labels(path: Path, about: About) -> Iterator[Add]:
    """Write the number of each pixel's object, as TIFF of 16 bit, or of 32 where so many small objects would fit."""
    fits = about.height * about.width // about.smallest < 2**16
    with tiff_rows(path, about.height, about.width, np.uint16 if fits else np.uint32) as add:
        yield lambda strip: add(strip.labels)


@contextmanager
def write_overlay(path: Path, about: About) -> Iterator[Add]:
    """Write the image with the objects outlined, as PNG."""
    above = np.zeros((1, about.width), np.int32)

    def add(strip: Strip) -> None:
        nonlocal above
        drawn = image.rows(strip.top, strip.top + len(strip.labels)).copy()
        drawn[_edges(np.concatenate([above, strip.labels]))] = YELLOW
        above = np.concatenate([above, strip.labels])[-1:]
        rows(drawn)

    source = about.source
    with (
        open_image(source.path, source.plane, channel=source.channel, project=source.project) as image,
        png_rows(path, about.height, about.width, 3) as rows,
    ):
        yield add


@contextmanager
def write_roi(path: Path, _about: About) -> Iterator[Add]:
    """Write the objects as ImageJ's ROIs, zipped."""
    with roi_zip(path) as add:
        yield lambda strip: add(strip.objects)


@contextmanager
def write_geojson(path: Path, _about: About) -> Iterator[Add]:
    """Write the objects as GeoJSON for QuPath."""
    with geojson(path) as add:
        yield lambda strip: add(strip.objects)


def _edges(labels: Int32[np.ndarray, "rows width"]) -> Bool[np.ndarray, "_ width"]:
    """Find where a pixel's object is not that of the pixel above or left; the first row only serves the second."""
    edges = labels[1:] != labels[:-1]
    edges[:, 1:] |= labels[1:, 1:] != labels[1:, :-1]
    return np.asarray(edges)


WRITERS: dict[str, tuple[str, Writer]] = {
    "mask": (".png", write_mask),
    "probability": (".probability.tif", write_probability),
    "labels": (".labels.tif", write_labels),
    "overlay": (".overlay.png", write_overlay),
    "roi": (".roi.zip", write_roi),
    "geojson": (".geojson", write_geojson),
}
