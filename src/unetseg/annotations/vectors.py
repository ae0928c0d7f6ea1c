"""Write objects as outlines: ImageJ's ROIs, and GeoJSON as QuPath reads it."""

import json
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int
from roifile import ROI_OPTIONS, ROI_TYPE, ImagejRoi

from unetseg.annotations.outlines import polygons
from unetseg.objects.strips import Found

Rings = list[Int[np.ndarray, "corners 2"]]
MOVE, LINE, CLOSE = 0.0, 1.0, 4.0  # the segments of ImageJ's composite ROIs, as Java's PathIterator numbers them


@contextmanager
def roi_zip(path: Path) -> Iterator[Callable[[Iterable[Found]], None]]:
    """Write a zip that ImageJ's and Fiji's ROI Manager opens, each object a ROI named by its label.

    Corners lie between pixels, where ImageJ's own wand puts them, so that ImageJ makes the same pixels of the ROI. An
    object with holes, or in parts that touch at a corner, is a composite ROI.

    Yields:
        A function that takes the next objects.
    """
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:

        def add(objects: Iterable[Found]) -> None:
            for found in objects:
                file.writestr(f"{found.label:05}.roi", _roi(found).tobytes())

        yield add


@contextmanager
def geojson(path: Path) -> Iterator[Callable[[Iterable[Found]], None]]:
    """Write GeoJSON that QuPath opens, each object a detection named by its label; coordinates are x, y in pixels.

    Yields:
        A function that takes the next objects.
    """
    with path.open("w", encoding="utf-8") as file:
        file.write('{"type": "FeatureCollection", "features": [')
        before = "\n"

        def add(objects: Iterable[Found]) -> None:
            nonlocal before
            for found in objects:
                file.write(before + json.dumps(_feature(found)))
                before = ",\n"

        yield add
        file.write("\n]}\n")


def _outlines(found: Found) -> list[Rings]:
    """Outline an object in the coordinates of its image, x before y as both formats have it."""
    corner = (found.row, found.column)
    return [[(ring + corner)[:, ::-1] for ring in rings] for rings in polygons(found.mask)]


def _roi(found: Found) -> ImagejRoi:
    rings = [ring for part in _outlines(found) for ring in part]
    roi = ImagejRoi.frompoints(rings[0], name=str(found.label))
    roi.roitype = ROI_TYPE.TRACED
    if len(rings) == 1:
        return roi
    path = [number for ring in rings for number in _segments(ring)]
    height, width = found.mask.shape
    return ImagejRoi(
        roitype=ROI_TYPE.RECT,
        options=ROI_OPTIONS(0),
        name=str(found.label),
        top=found.row,
        left=found.column,
        bottom=found.row + height,
        right=found.column + width,
        shape_roi_size=len(path),
        multi_coordinates=np.array(path, np.float32),
    )


def _segments(ring: Int[np.ndarray, "corners 2"]) -> Iterator[float]:
    kind = MOVE
    for x, y in ring.tolist():
        yield from (kind, x, y)
        kind = LINE
    yield CLOSE


def _feature(found: Found) -> dict[str, Any]:
    parts = [[[*ring.tolist(), ring[0].tolist()] for ring in rings] for rings in _outlines(found)]
    one = len(parts) == 1
    geometry = {"type": "Polygon" if one else "MultiPolygon", "coordinates": parts[0] if one else parts}
    measurements = {"Area px^2": int(found.mask.sum()), "Mean probability": round(found.probability, 6)}
    properties = {"objectType": "detection", "name": str(found.label), "measurements": measurements}
    return {"type": "Feature", "geometry": geometry, "properties": properties}
