"""GeoJSON as QuPath writes and reads it (RFC 7946), coordinates in pixels, in and out."""

from collections import Counter
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np

from unetseg.annotations.about import About, Add
from unetseg.annotations.jsons import load_json, write_objects
from unetseg.annotations.outlines import outline
from unetseg.annotations.regions import Annotations, Region, fill, gather, refusing, surrounding, union
from unetseg.objects.strips import Found


def write_geojson(path: Path, _about: About) -> AbstractContextManager[Add]:
    """Write GeoJSON that QuPath opens, each object a detection named by its label."""
    return write_objects(path, {"type": "FeatureCollection"}, "features", _feature)


def read_geojson(path: Path, height: int, width: int) -> Annotations:
    """Read the polygons of a feature collection, a list of features or a single one; the rest is left out.

    An annotation of QuPath that surrounds other objects is a region in which somebody looked for them, no object. Of a
    cell the outline is taken, not that of its nucleus.

    Raises:
        InputError: naming the file, if it is not GeoJSON.
    """
    content = load_json(path)
    features = content.get("features", [content]) if isinstance(content, dict) else content
    with refusing(f"{path}: is not GeoJSON as QuPath exports it"):
        areas = [each for each in features if (each["geometry"] or {}).get("type") in ("Polygon", "MultiPolygon")]
        found = [_region(each["geometry"], height, width) for each in areas]
        drawn = [_is_annotation(each) for each, region in zip(areas, found, strict=True) if region]
        others = {
            "features that are no polygons": len(features) - len(areas),
            "nuclei of cells, whose own outlines were taken": sum("nucleusGeometry" in each for each in areas),
        }
    regions, left_out = gather(found, "polygons without a pixel in the image", others)
    around = surrounding(regions, drawn)
    left_out += Counter({"annotations around other objects": len(around)})
    return Annotations([region for number, region in enumerate(regions) if number not in around], left_out)


def _region(geometry: dict[str, Any], height: int, width: int) -> Region | None:
    parts = [geometry["coordinates"]] if geometry["type"] == "Polygon" else geometry["coordinates"]
    return union(fill([np.array(ring, np.float64)[:, :2] for ring in part], height, width) for part in parts)


def _is_annotation(feature: dict[str, Any]) -> bool:
    """Tell what was drawn in QuPath from what it detected; before version 0.3 the id said so."""
    kind = (feature.get("properties") or {}).get("objectType", feature.get("id"))
    return kind in ("annotation", "PathAnnotationObject")


def _feature(found: Found) -> dict[str, Any]:
    parts = [
        [[*ring.tolist(), ring[0].tolist()] for ring in rings] for rings in outline(found.mask, found.row, found.column)
    ]
    one = len(parts) == 1
    geometry = {"type": "Polygon" if one else "MultiPolygon", "coordinates": parts[0] if one else parts}
    measurements = {"Area px^2": int(found.mask.sum()), "Mean probability": round(found.probability, 6)}
    properties = {"objectType": "detection", "name": str(found.label), "measurements": measurements}
    return {"type": "Feature", "geometry": geometry, "properties": properties}
