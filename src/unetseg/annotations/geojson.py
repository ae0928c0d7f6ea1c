"""GeoJSON as QuPath writes and reads it (RFC 7946), coordinates in pixels, in and out."""

from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from unetseg.annotations.jsons import load_json, objects_of, write_objects
from unetseg.annotations.outlines import outline
from unetseg.annotations.regions import (
    IGNORED,
    REGIONS,
    Annotations,
    Region,
    corners,
    count_planes,
    fill,
    gather,
    refusing,
    surrounding,
    trim,
    union,
)
from unetseg.annotations.writing import Add, ImageInfo
from unetseg.objects.strips import FoundObject

ANNOTATIONS = ("annotation", "PathAnnotationObject")  # ids of types, as QuPath wrote them before version 0.3
NO_OBJECTS = ("tile", "tmaCore", "root", "PathTileObject", "TMACoreObject", "PathRootObject")


def write_geojson(path: Path, _about: ImageInfo) -> AbstractContextManager[Add]:
    """Write GeoJSON that QuPath opens, each object a detection named by its label."""
    return write_objects(path, {"type": "FeatureCollection"}, "features", _feature)


def read_geojson(path: Path, height: int, width: int) -> Annotations:
    """Read the polygons of a feature collection, a list of features or a single one; the rest is left out.

    An annotation of QuPath that surrounds other objects is a region in which somebody looked for them, no object. Of a
    cell the outline is taken, not that of its nucleus. Classes that end in `*` are ignored, as QuPath does, and tiles,
    cores of a tissue microarray and the root of all objects are none. Objects below another one are read like others.

    Raises:
        InputError: naming the file, if it is not GeoJSON.
    """
    content, where = load_json(path), f"{path}: is not GeoJSON as QuPath exports it"
    found: list[Region | None] = []
    kinds: list[tuple[str, bool]] = []
    places: list[tuple[int | None, int | None, int | None]] = []
    others = Counter[str]()
    with refusing(where):
        features = objects_of(content.get("features", [content]) if isinstance(content, dict) else content, "features")
        features = [each for feature in features for each in _with_children(feature)]
    for number, feature in enumerate(features, 1):
        with refusing(f"{where}, at feature {number}"):
            kind, sort = _class(feature), _type(feature)
            geometry = feature.get("geometry", "missing") or {}  # null is no place, by RFC 7946
            if not isinstance(geometry, dict):
                raise ValueError("it has no geometry that is an object of JSON or null")
            if sort in NO_OBJECTS:
                others["tiles, cores and roots of QuPath"] += 1
            elif geometry.get("type") not in ("Polygon", "MultiPolygon"):
                others["features that are no polygons"] += 1
            elif kind.endswith("*"):
                others[IGNORED] += 1
            else:
                found.append(_region(geometry, height, width))
                places.append(_place(geometry))
                kinds += [(kind, sort in ANNOTATIONS)] if found[-1] and found[-1].mask.size else []
                others["nuclei of cells, whose own outlines were taken"] += "nucleusGeometry" in feature
    others.update(count_planes(places))
    regions, left_out, _ = gather(found, "polygons without a pixel in the image", others)
    around = surrounding(regions, [drawn for _, drawn in kinds])
    left_out += Counter({"annotations around other objects": len(around)})
    kept = [number for number in range(len(regions)) if number not in around]
    beside = not all(drawn for _, drawn in kinds)
    drawn = [regions[number].mask for number in kept if kinds[number][1]]
    large = [mask for mask in drawn if beside or 2 * np.count_nonzero(mask) >= height * width]
    left_out += Counter({REGIONS: len(large)})
    return Annotations([regions[number] for number in kept], left_out, Counter(kinds[number][0] for number in kept))


def _region(geometry: dict[str, Any], height: int, width: int) -> Region | None:
    parts = [geometry.get("coordinates")] if geometry["type"] == "Polygon" else geometry.get("coordinates")
    if not isinstance(parts, list) or not all(isinstance(part, list) for part in parts):
        raise ValueError(f"its coordinates are {geometry.get('coordinates')!r:.40}, not lists of corners")
    return union(_part([corners(ring, "its ring") for ring in part], height, width) for part in parts if part)


def _place(geometry: dict[str, Any]) -> tuple[int | None, int | None, int | None]:
    """Tell the slice, channel and frame, from 0, that a polygon was drawn on; QuPath has -1 for all channels."""
    plane = geometry.get("plane") or {}
    depth, channel, frame = (int(plane.get(axis, missing)) for axis, missing in (("z", 0), ("c", -1), ("t", 0)))
    return depth, None if channel < 0 else channel, frame


def _part(rings: list[Float[np.ndarray, "_ 2"]], height: int, width: int) -> Region | None:
    """Fill the first ring, and take from it what is inside the others, which are holes wherever they lie."""
    outer = fill(rings[:1], height, width)
    if outer is None or not outer.mask.size or len(rings) == 1:
        return outer
    for ring in rings[1:]:
        hole = fill([ring - np.array([outer.column, outer.row])], *outer.mask.shape)
        if hole and hole.mask.size:
            outer.mask[hole.box] &= ~hole.mask
    return trim(outer.mask, outer.row, outer.column)


def _class(feature: dict[str, Any]) -> str:
    """Name the class of a feature; QuPath 0.6 lists the parts of its name."""
    kind = (feature.get("properties") or {}).get("classification") or {}
    if not isinstance(kind, dict):
        return str(kind)
    return str(kind.get("name") or ": ".join(map(str, kind.get("names") or [])) or "no class")


def _type(feature: dict[str, Any]) -> Any:
    """Tell what a feature is in QuPath; before version 0.3 the id said so."""
    return (feature.get("properties") or {}).get("objectType", feature.get("id"))


def _with_children(feature: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Give a feature and those below it, which QuPath nests where it keeps the hierarchy."""
    yield feature
    for child in objects_of((feature.get("properties") or {}).get("childObjects") or [], "childObjects"):
        yield from _with_children(child)


def _feature(found: FoundObject) -> dict[str, Any]:
    parts = [
        [[*ring.tolist(), ring[0].tolist()] for ring in rings] for rings in outline(found.mask, found.row, found.column)
    ]
    one = len(parts) == 1
    geometry = {"type": "Polygon" if one else "MultiPolygon", "coordinates": parts[0] if one else parts}
    measurements = {"Area px^2": int(found.mask.sum()), "Mean probability": round(found.probability, 6)}
    properties = {"objectType": "detection", "name": str(found.label), "measurements": measurements}
    return {"type": "Feature", "geometry": geometry, "properties": properties}
