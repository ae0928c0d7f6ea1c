"""LabelMe's JSON, one file per image, in and out."""

import base64
import io
import json
import math
import re
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from unetseg.annotations.jsons import load_json, objects_of, write_objects
from unetseg.annotations.outlines import outline
from unetseg.annotations.regions import (
    GROUPED,
    IGNORED,
    Annotations,
    Region,
    check_stated,
    corners,
    fill,
    gather,
    refusing,
    trim,
    union,
)
from unetseg.annotations.writing import Add, ImageInfo
from unetseg.objects.strips import FoundObject

NO_OBJECTS = ("_background_", "__ignore__")  # labels of LabelMe's own conversions to masks
POINTS = {"rectangle": {2, 4}, "oriented_rectangle": {4}, "circle": {2}, "mask": {1, 2}}  # of a shape that is an area
NAMED = re.compile(rb'"imagePath"\s*:\s*("(?:[^"\\]|\\.)*")')
CIRCLE = 64  # corners of the polygon that stands for a circle


def write_labelme(path: Path, about: ImageInfo) -> AbstractContextManager[Add]:
    """Write each object as a polygon, or as LabelMe's mask where it has holes or parts."""
    image = {"imagePath": about.path, "imageData": None}
    size = {"imageHeight": about.height, "imageWidth": about.width}
    return write_objects(path, {"version": "5.5.0", "flags": {}, **image, **size}, "shapes", _shape)


def image_path(path: Path) -> str:
    """Give the path of the image as a file states it, found without reading the picture beside it; empty if none."""
    found = NAMED.search(path.read_bytes())
    try:
        return str(json.loads(found[1])) if found else ""
    except ValueError:
        return ""  # told when all of the file is read


def read_labelme(path: Path, height: int, width: int) -> Annotations:
    """Read polygons, circles, masks and rectangles, also turned ones; points, lines and background are left out.

    Shapes with one `group_id` and label are parts of one object.

    Raises:
        InputError: naming the file, if it is not LabelMe's JSON, or that of an image of another size.
    """
    content, where = load_json(path), f"{path}: is not LabelMe's JSON, or damaged"
    with refusing(where):
        shapes = objects_of(content.get("shapes") if isinstance(content, dict) else None, "shapes")
        check_stated(str(path), (content.get("imageHeight"), content.get("imageWidth")), height, width)
    parts: dict[Any, list[Region | None]] = {}
    classes: dict[Any, str | None] = {}
    left_out = ignored = 0
    for number, shape in enumerate(shapes, 1):
        with refusing(f"{where}, at shape {number}"):
            if shape.get("label") in NO_OBJECTS:
                ignored += 1
                continue
            if _kind(shape) not in ("polygon", *POINTS):  # a polygon has any number of points
                left_out += 1
                continue
            group = shape.get("group_id")
            key = number if group is None else (str(group), str(shape.get("label")))
            classes[key] = shape.get("label") and str(shape["label"])
            parts.setdefault(key, []).append(_region(shape, height, width))
    found = [union(some) for some in parts.values()]
    joined = sum(len(some) for some in parts.values() if len(some) > 1)
    others = {"shapes that are no areas": left_out, IGNORED: ignored, GROUPED: joined}
    return gather(found, "shapes without a pixel in the image", others, list(classes.values()))


def _kind(shape: dict[str, Any]) -> Any:
    """Give the type of a shape; one without, or with null, is a polygon."""
    return "polygon" if shape.get("shape_type") is None else shape["shape_type"]


def _region(shape: dict[str, Any], height: int, width: int) -> Region | None:
    points = corners(shape.get("points"), "its list of points")
    kind = _kind(shape)
    if len(points) not in POINTS.get(kind, {len(points)}):
        raise ValueError(f"its {kind} has {len(points)} points; it needs {' or '.join(map(str, sorted(POINTS[kind])))}")
    if kind == "mask":
        return _mask(shape.get("mask"), points, height, width)
    if kind == "rectangle":
        (left, top), (right, bottom) = points[0], points[-1 if len(points) == 2 else 2]
        points = np.array([(left, top), (right, top), (right, bottom), (left, bottom)])
    elif kind == "circle":
        turns = np.linspace(0, 2 * math.pi, CIRCLE, endpoint=False)
        points = points[0] + np.hypot(*(points[1] - points[0])) * np.stack([np.cos(turns), np.sin(turns)], axis=1)
    return fill([points], height, width) if len(points) > 2 else None


def _mask(text: Any, points: np.ndarray, height: int, width: int) -> Region | None:
    if not isinstance(text, str):
        raise ValueError(f"its mask is {text!r:.40}, no PNG as text")
    with Image.open(io.BytesIO(base64.b64decode(text)), formats=["PNG"]) as file:
        if file.height > height or file.width > width:  # before it is decoded: a small file may unpack to any size
            raise ValueError(f"a mask of {file.height}x{file.width} pixels in an image of {height}x{width}")
        mask = np.asarray(file.convert("L")) > 0
    left, top = (round(each) for each in points[0].tolist())
    if left < 0 or top < 0:
        raise ValueError(f"a mask begins outside the image, at {left}, {top}")
    return trim(mask[: max(0, height - top), : max(0, width - left)], top, left)


def _shape(found: FoundObject) -> dict[str, Any]:
    parts = outline(found.mask, found.row, found.column)
    facts: dict[str, Any] = {"label": "object", "group_id": None, "description": str(found.label), "flags": {}}
    if len(parts) == 1 and len(parts[0]) == 1:
        return facts | {"shape_type": "polygon", "points": parts[0][0].tolist()}
    rows, columns = found.mask.shape
    content = io.BytesIO()
    Image.fromarray(found.mask.astype(np.uint8)).save(content, "PNG")
    ends = [[found.column, found.row], [found.column + columns - 1, found.row + rows - 1]]
    mask = base64.b64encode(content.getvalue()).decode("ascii")
    return facts | {"shape_type": "mask", "points": ends, "mask": mask}
