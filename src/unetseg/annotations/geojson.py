"""GeoJSON as QuPath writes and reads it (RFC 7946), coordinates in pixels, in and out."""

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from unetseg.annotations.outlines import outline
from unetseg.annotations.regions import Annotations, Region, fill
from unetseg.annotations.texts import load_json
from unetseg.errors import InputError
from unetseg.objects.strips import Found


@contextmanager
def geojson(path: Path) -> Iterator[Callable[[Iterable[Found]], None]]:
    """Write GeoJSON that QuPath opens, each object a detection named by its label.

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


def read_geojson(path: Path, height: int, width: int) -> Annotations:
    """Read the polygons of a feature collection, a list of features or a single one; the rest is left out.

    Raises:
        InputError: naming the file, if it is not GeoJSON.
    """
    content = load_json(path)
    features = content.get("features", [content]) if isinstance(content, dict) else content
    try:
        geometries = [feature["geometry"] or {} for feature in features]
        areas = [geometry for geometry in geometries if geometry.get("type") in ("Polygon", "MultiPolygon")]
        found = [_region(geometry, height, width) for geometry in areas]
    except (TypeError, KeyError, ValueError, IndexError, AttributeError) as error:
        raise InputError(f"{path}: is not GeoJSON as QuPath exports it ({type(error).__name__}: {error})") from error
    regions = [region for region in found if region]
    left_out = [f"{len(geometries) - len(areas)} features that are no polygons"] if len(areas) < len(geometries) else []
    if len(regions) < len(areas):
        left_out.append(f"{len(areas) - len(regions)} polygons without a pixel in the image")
    return Annotations(regions, left_out)


def _region(geometry: dict[str, Any], height: int, width: int) -> Region | None:
    parts = [geometry["coordinates"]] if geometry["type"] == "Polygon" else geometry["coordinates"]
    return fill([np.array(ring, np.float64)[:, :2] for part in parts for ring in part], height, width)


def _feature(found: Found) -> dict[str, Any]:
    parts = [
        [[*ring.tolist(), ring[0].tolist()] for ring in rings] for rings in outline(found.mask, found.row, found.column)
    ]
    one = len(parts) == 1
    geometry = {"type": "Polygon" if one else "MultiPolygon", "coordinates": parts[0] if one else parts}
    measurements = {"Area px^2": int(found.mask.sum()), "Mean probability": round(found.probability, 6)}
    properties = {"objectType": "detection", "name": str(found.label), "measurements": measurements}
    return {"type": "Feature", "geometry": geometry, "properties": properties}
