"""The one table of formats: what `unetseg predict --write` offers and `unetseg import` reads."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Int32

from unetseg.annotations.coco import read_coco, write_coco
from unetseg.annotations.geojson import read_geojson, write_geojson
from unetseg.annotations.imagej import read_roi, write_roi
from unetseg.annotations.labelme import read_labelme, write_labelme
from unetseg.annotations.masks import read_objects
from unetseg.annotations.rasters import png_rows, tiff_rows
from unetseg.annotations.regions import Annotations, Table
from unetseg.annotations.runs import read_bowl, write_bowl
from unetseg.annotations.writing import Add, ImageInfo, Listed, Writer
from unetseg.annotations.zarrs import write_zarr
from unetseg.images.inputs import open_source
from unetseg.objects.strips import Strip

YELLOW = (240, 228, 66)  # of Okabe and Ito's palette: seen by colour-blind people, on dark and on purple


@dataclass(frozen=True)
class Format:
    """A form of masks and objects.

    Attributes:
        purpose: what it is, for people.
        name: of the files: what follows the image's name, or the whole name of a file for all images.
        write: writes the file of an image, fed with strips from the top.
        write_all: writes the file of all images.
        read: reads the objects of an image, given its height and width.
        read_all: reads the file of all images; gives what reads the objects of each.
        needs_objects: whether an image without objects gets no such file.
    """

    purpose: str
    name: str
    write: Writer | None = None
    write_all: Callable[[Path, Sequence[Listed]], None] | None = None
    read: Callable[[Path, int, int], Annotations] | None = None
    read_all: Callable[[Path], Table] | None = None
    needs_objects: bool = False


@contextmanager
def write_mask(path: Path, about: ImageInfo) -> Iterator[Add]:
    """Write 0 for background and 255 for foreground, as PNG."""
    with png_rows(path, about.height, about.width, 1) as add:
        limit = np.float32(about.threshold)
        yield lambda strip: add((strip.probability >= limit)[..., None].astype(np.uint8) * np.uint8(255))


@contextmanager
def write_labels(path: Path, about: ImageInfo) -> Iterator[Add]:
    """Write the number of each pixel's object, as TIFF of 16 bit, or of 32 where so many small objects would fit."""
    fits = about.height * about.width // about.smallest < 2**16
    with tiff_rows(path, about.height, about.width, np.uint16 if fits else np.uint32) as add:
        yield lambda strip: add(strip.labels)


@contextmanager
def write_probability(path: Path, about: ImageInfo) -> Iterator[Add]:
    """Write the probability times 65,535, as TIFF of 16 bit."""
    with tiff_rows(path, about.height, about.width, np.uint16) as add:
        yield lambda strip: add(np.rint(strip.probability * 65535))


@contextmanager
def write_overlay(path: Path, about: ImageInfo) -> Iterator[Add]:
    """Write the image with the objects outlined, as PNG."""
    above = np.zeros((1, about.width), np.int32)

    def add(strip: Strip) -> None:
        nonlocal above
        drawn = image.rows(strip.top, strip.top + len(strip.labels)).copy()
        labels = np.concatenate([above, strip.labels])
        drawn[_edges(labels)] = YELLOW
        above = labels[-1:]
        rows(drawn)

    with open_source(about.source) as image, png_rows(path, about.height, about.width, 3) as rows:
        yield add


def _edges(labels: Int32[np.ndarray, "rows width"]) -> Bool[np.ndarray, "_ width"]:
    """Find where a pixel's object is not that of the pixel above or left; the first row only serves the second."""
    edges = labels[1:] != labels[:-1]
    edges[:, 1:] |= labels[1:, 1:] != labels[1:, :-1]
    return np.asarray(edges)


FORMATS = {
    "mask": Format("mask, 0 and 255", ".png", write=write_mask, read=read_objects),
    "probability": Format("probability in 16 bit", ".probability.tif", write=write_probability),
    "labels": Format("label image", ".labels.tif", write=write_labels, read=read_objects),
    "overlay": Format("image with the objects outlined", ".overlay.png", write=write_overlay),
    "roi": Format(  # ImageJ refuses an empty zip
        "ImageJ's and Fiji's ROIs", ".roi.zip", write=write_roi, read=read_roi, needs_objects=True
    ),
    "geojson": Format("GeoJSON of QuPath", ".geojson", write=write_geojson, read=read_geojson),
    "zarr": Format("OME-Zarr of probability and labels, for large images", ".ome.zarr", write=write_zarr),
    "labelme": Format("LabelMe's JSON", ".labelme.json", write=write_labelme, read=read_labelme),
    "coco": Format("COCO instances", "coco.json", write_all=write_coco, read_all=read_coco),
    "rle": Format("run lengths of the Data Science Bowl", "rle.csv", write_all=write_bowl, read_all=read_bowl),
}
WRITABLE = [name for name in FORMATS if name != "mask"]  # what predict writes besides the masks
READERS = {name: form.read for name, form in FORMATS.items() if form.read}
TABLE_READERS = {name: form.read_all for name, form in FORMATS.items() if form.read_all}
