"""Read what OME, ImageJ and TIFF tags say of an image; all of it may be missing or wrong."""

import re
from math import prod
from xml.etree import ElementTree as ET

import numpy as np
import tifffile

MICRONS = {"µm": 1.0, "μm": 1.0, "um": 1.0, "micron": 1.0, "\\u00B5m": 1.0, "nm": 1e-3, "mm": 1e3, "cm": 1e4, "m": 1e6}
CENTIMETRE = 3  # TIFF's ResolutionUnit; inches are ignored, they describe printing, not measurement


def is_implausible(xml: str, pages: int) -> bool:
    """Tell whether OME metadata claim more planes than there are pages, because they would be listed."""
    sizes = (re.findall(rf'\bSize{axis}="(\d+)"', xml) for axis in "ZCT")
    planes = [prod(map(int, each)) for each in zip(*sizes, strict=False)]
    runs = map(int, re.findall(r'\b(?:NumPlanes|PlaneCount)="(\d+)"', xml))
    samples = max(map(int, re.findall(r'\bSamplesPerPixel="(\d+)"', xml)), default=1)
    return any(count > pages for count in runs) or sum(planes) > pages * max(1, samples)


def channel_names(tiff: tifffile.TiffFile, channels: int) -> list[str]:
    """Find the names of the channels in OME's or ImageJ's metadata; empty where they are not all there."""
    names: list[str] = []
    if tiff.ome_metadata and (image := _first_image(tiff.ome_metadata)) is not None:
        names = [each.get("Name", "") for each in image.iter() if each.tag.endswith("}Channel")]
    elif tiff.imagej_metadata:
        names = [str(each) for each in tiff.imagej_metadata.get("Labels") or []][:channels]
    return names if len(names) == channels else []


def _first_image(xml: str) -> ET.Element | None:
    try:
        return next((each for each in ET.fromstring(xml) if each.tag.endswith("Image")), None)  # noqa: S314
    except ET.ParseError:
        return None


def pixel_size(tiff: tifffile.TiffFile) -> tuple[float, float] | None:
    """Find the size of a pixel in µm, where OME or ImageJ say it or the resolution is in centimetres."""
    try:
        height, width = (length * MICRONS[unit] for length, unit in _sizes(tiff))
    except (ValueError, TypeError, KeyError, ZeroDivisionError, OverflowError):  # optional metadata may be wrong
        return None
    return (height, width) if 0 < height < np.inf and 0 < width < np.inf else None


def _sizes(tiff: tifffile.TiffFile) -> list[tuple[float, str]]:
    if tiff.ome_metadata:
        image = _first_image(tiff.ome_metadata)
        found = {} if image is None else next((p.attrib for p in image if p.tag.endswith("Pixels")), {})
        names = [f"PhysicalSize{axis}" for axis in "YX"]
        return [(float(found.get(name, "0").replace(",", ".")), found.get(f"{name}Unit", "µm")) for name in names]
    tags = tiff.pages.first.tags
    unit = str((tiff.imagej_metadata or {}).get("unit", ""))
    if unit not in MICRONS and tags.valueof("ResolutionUnit") == CENTIMETRE:
        unit = "cm"
    resolutions = [tags.valueof(f"{axis}Resolution", (0, 1)) for axis in "YX"]
    return [(below / above if above else 0.0, unit) for above, below in resolutions]
