"""GeoJSON as QuPath writes and reads it (RFC 7946), coordinates in pixels, in and out."""

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np

from unetseg.annotations.about import About, Add
from unetseg.annotations.jsons import load_json, write_objects
from unetseg.annotations.outlines import outline
from unetseg.annotations.regions import Annotations, Region, fill, gather
from unetseg.errors import InputError
from unetseg.objects.strips import Found


def write_geojson(path: Path, _about: About) -> AbstractContextManager[Add]:
    """Write GeoJSON that QuPath opens, each object a detection named by its label."""
    return write_objects(path, {"type": "FeatureCollection"}, "features", _feature)


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
    others = {"features that are no polygons": len(geometries) - len(areas)}
    return gather(found, "polygons without a pixel in the image", others)


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
