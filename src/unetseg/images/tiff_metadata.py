"""Read what OME, ImageJ, LSM and TIFF tags say of an image; all of it may be missing or wrong."""

import re
from functools import lru_cache
from math import prod
from xml.etree import ElementTree as ET

import numpy as np
import tifffile

from unetseg.errors import InputError

MICRONS = {
    **dict.fromkeys(("µm", "μm", "um", "\\u00B5m", "micron", "microns", "micrometer", "micrometre"), 1.0),
    "pm": 1e-6,
    "Å": 1e-4,
    "nm": 1e-3,
    "mm": 1e3,
    "cm": 1e4,
    "m": 1e6,
}
PAGE_NAME = "PageName"  # a TIFF tag, for any type of values
CENTIMETRE = 3  # TIFF's ResolutionUnit; inches are ignored, they describe printing, not measurement


def is_implausible(xml: str, pages: int) -> bool:
    """Tell whether OME metadata claim more planes than there are pages, because they would be listed."""
    sizes = (_numbers(f"Size{axis}", xml) for axis in "ZCT")
    planes = sum(map(prod, zip(*sizes, strict=False)))
    runs = _numbers("NumPlanes|PlaneCount", xml)
    return max(runs, default=0) > pages or planes > pages * max([1, *_numbers("SamplesPerPixel", xml)])


def _numbers(attribute: str, xml: str) -> list[int]:
    """Find the whole numbers that an attribute, or one of several between `|`, has anywhere in a text."""
    return [int(number) for number in re.findall(rf'\b(?:{attribute})="(\d+)"', xml)]


def stains(tiff: tifffile.TiffFile) -> int:
    """Count the channels that are planes of their own, as OME or ImageJ say, whether or not it is right."""
    if tiff.ome_metadata:
        channels, samples = (max([1, *_numbers(name, tiff.ome_metadata)]) for name in ("SizeC", "SamplesPerPixel"))
        return channels // samples
    channels = (tiff.imagej_metadata or {}).get("channels", 1)
    return channels if isinstance(channels, int) else 1


def channel_names(tiff: tifffile.TiffFile, series: int, channels: int) -> list[str]:
    """Find the names of a series' channels in OME's or ImageJ's metadata; empty where they are not all there.

    A page alone has the name that `unetseg import` gives one channel of several.
    """
    names: list[str] = []
    if tiff.ome_metadata and (image := _image(tiff.ome_metadata, series)) is not None:
        names = [each.get("Name", "") for each in image.iter() if each.tag.endswith("}Channel")]
    elif tiff.imagej_metadata and channels > 1:  # of one channel, labels are of slices: numbers, or a DICOM header
        names = [str(each) for each in tiff.imagej_metadata.get("Labels") or []][:channels]
    elif len(tiff.pages) == channels == 1 and isinstance(name := tiff.pages.first.tags.valueof(PAGE_NAME), str):
        names = [name] * (not tiff.is_imagej)
    return names if len(names) == channels else []


def _image(xml: str, series: int) -> ET.Element | None:
    """Find what OME says of a series."""
    images = [each for each in _parsed(xml) if each.tag.endswith("Image")]
    return images[series] if series < len(images) else None


@lru_cache(maxsize=1)  # each series is looked up in the same text, which may be long
def _parsed(xml: str) -> ET.Element:
    try:
        return ET.fromstring(xml)  # noqa: S314
    except ET.ParseError:
        return ET.Element("OME")


def overviews(xml: str) -> set[int]:
    """Find the pages of the images of a Leica slide (SCN) that show all of it; those of scanned regions show a part."""
    pages: set[int] = set()
    for collection in _parsed(xml):
        whole = {"offsetX": "0", "offsetY": "0", **{size: collection.get(size) for size in ("sizeX", "sizeY")}}
        for image in collection:
            view = image.find("{*}view")
            if view is not None and whole.items() <= view.attrib.items():
                pages |= {int(each.get("ifd", "")) for each in image.iterfind(".//{*}dimension")}
    return pages


def pixel_size(tiff: tifffile.TiffFile, series: int) -> tuple[float, float] | None:
    """Find the size of a series' pixels in µm, where OME, ImageJ or LSM say it or the resolution is in centimetres."""
    try:
        height, width = (length * MICRONS[unit] for length, unit in _sizes(tiff, series))
    except (ValueError, TypeError, KeyError, ZeroDivisionError, OverflowError):  # optional metadata may be wrong
        return None
    return (height, width) if 0 < height < np.inf and 0 < width < np.inf else None


def common_pixel_size(tiff: tifffile.TiffFile, height: int, width: int) -> tuple[float, float] | None:
    """Find the size of the pixels of a file that holds other planes than OME or ImageJ state, as one of several does.

    OME has to state the file's height and width, too; it may describe an image that was resized since.

    Raises:
        InputError: without the file's name: if OME states several sizes.
    """
    sizes = {pixel_size(tiff, series) for series in _series_here(tiff.ome_metadata, height, width)}
    if len(sizes) > 1:
        raise InputError("holds other planes than its metadata state, of pixels of several sizes; save it anew")
    return sizes.pop() if sizes else None


def _series_here(xml: str | None, height: int, width: int) -> list[int]:
    """Find the series of this size which OME says are in this file, or in any if it does not say; 0 without OME."""
    if not xml:
        return [0]
    root = _parsed(xml)
    images = [each for each in root if each.tag.endswith("Image")]
    here = [each for each in images if root.get("UUID") in {part.text for part in each.iterfind(".//{*}UUID")}]
    size = str(height), str(width)
    return [images.index(each) for each in here or images if tuple(map(_pixels(each).get, ("SizeY", "SizeX"))) == size]


def _pixels(image: ET.Element | None) -> dict[str, str]:
    return {} if image is None else next((each.attrib for each in image if each.tag.endswith("Pixels")), {})


def _sizes(tiff: tifffile.TiffFile, series: int) -> list[tuple[float, str]]:
    if tiff.ome_metadata:
        found = _pixels(_image(tiff.ome_metadata, series))
        names = [f"PhysicalSize{axis}" for axis in "YX"]
        return [(float(found.get(name, "0").replace(",", ".")), found.get(f"{name}Unit", "µm")) for name in names]
    if tiff.lsm_metadata:
        return [(tiff.lsm_metadata[f"VoxelSize{axis}"], "m") for axis in "YX"]
    tags = tiff.pages.first.tags
    unit = str((tiff.imagej_metadata or {}).get("unit", ""))
    if unit not in MICRONS and tags.valueof("ResolutionUnit") == CENTIMETRE:
        unit = "cm"
    resolutions = [tags.valueof(f"{axis}Resolution", (0, 1)) for axis in "YX"]
    return [(below / above if above else 0.0, unit) for above, below in resolutions]
