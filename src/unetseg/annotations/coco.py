"""COCO instances (cocodataset.org, "Data format"), in and out."""

from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int64

from unetseg.annotations.jsons import list_writer, load_json, objects_of
from unetseg.annotations.regions import (
    CROWDS,
    EMPTY,
    SINGLE,
    Annotations,
    Reader,
    Region,
    Table,
    check_stated,
    corners,
    fill,
    gather,
    refuse,
    refusing,
    union,
)
from unetseg.annotations.runs import from_runs
from unetseg.annotations.writing import Listed
from unetseg.files import atomic_path


def coco_counts(starts: Int64[np.ndarray, " runs"], lengths: Int64[np.ndarray, " runs"], pixels: int) -> list[int]:
    """Write runs as COCO's uncompressed counts: pixels outside and inside, in turn, `pixels` in all."""
    borders = np.stack([starts, starts + lengths], axis=1).ravel()
    return list(np.diff(borders, prepend=0, append=pixels).tolist())


def unpack_counts(text: str) -> list[int]:
    """Read COCO's compressed counts: numbers in base 32, from the third on less the one two before (its maskApi.c).

    Raises:
        ValueError: if the text ends within a number, or holds what is no digit.
    """
    counts: list[int] = []
    number = shift = 0
    for character in text:
        bits = ord(character) - 48
        if not 0 <= bits < 64 or shift > 60:
            raise ValueError(f"its compressed counts hold {character!r} where none of COCO's digits, 0 to o, may stand")
        number |= (bits & 0x1F) << shift
        shift += 5
        if not bits & 0x20:
            number -= (1 << shift) if bits & 0x10 else 0
            counts.append(number + (counts[-2] if len(counts) > 2 else 0))
            number = shift = 0
    if shift:
        raise ValueError("its compressed counts are cut off")
    return counts


def write_coco(path: Path, images: Sequence[Listed]) -> None:
    """Write instances as COCO JSON, their pixels as uncompressed run lengths."""
    with atomic_path(path) as beside, beside.open("w", encoding="utf-8") as file:
        file.write('{"categories": [{"id": 1, "name": "object"}],\n"images": [')
        write = list_writer(file)
        for number, header in enumerate((image.header for image in images), 1):
            plane = {} if header["plane"] is None else {"plane": header["plane"]}
            size = {"height": header["height"], "width": header["width"]}
            write({"id": number, "file_name": header["image"], **size, **plane})
        file.write('],\n"annotations": [')
        write = list_writer(file)
        for annotation in _annotations(images):
            write(annotation)
        file.write("]}\n")


def read_coco(path: Path) -> Table:
    """Read the instances of all images: polygons, and run lengths whether compressed or not.

    Crowds are left out, unless they are run lengths of one connected part: CVAT writes all its brush masks as crowds.
    Images that share a name or id with another one are refused, and those with an instance of a
    category that the file does not list.

    Raises:
        InputError: naming the file, if it is not COCO.
    """
    content = load_json(path)
    with refusing(f"{path}: is not COCO JSON with images and annotations"):
        if not isinstance(content, dict):
            raise ValueError(f"it is {content!r:.40}, no object of JSON")
        images, annotations = (objects_of(content.get(key), key) for key in ("images", "annotations"))
        names = Counter(str(image.get("file_name")) for image in images)
        listed = objects_of(content.get("categories") or [], "categories")
        categories = {_as_text(each.get("id")): str(each.get("name")) for each in listed}
        numbers = Counter(_as_text(image.get("id")) for image in images)
        instances: dict[str, list[dict[str, Any]]] = {number: [] for number in numbers}
        strays: list[dict[str, Any]] = []
        for instance in annotations:
            instances.get(_as_text(instance.get("image_id")), strays).append(instance)
    readers: dict[str, Reader] = {}
    for image in images:
        name, number = str(image.get("file_name")), _as_text(image.get("id"))
        where, rule = f"{path}: {name}", None
        if names[name] > 1 and "plane" in image:
            rule = "has an entry per plane; import the folder that `unetseg predict` wrote, which tells planes apart"
        elif names[name] > 1:
            rule = f"is the file_name of {names[name]} images; keep one of them"
        elif numbers[number] > 1:
            rule = f"has the id {number}, as another image has; number them anew"
        elif image.get("id") is None:
            rule = "has no id, by which annotations name their image"
        read = partial(_read_instances, where, image, instances[number], categories)
        readers[name] = partial(refuse, f"{where}: {rule}") if rule else read
    lost = f"{path}: {len(strays)} annotations are of no image that it lists"
    problems = [f"{lost}, first {each.get('id')}, of image {each.get('image_id')}" for each in strays[:1]]
    return Table(readers, problems, Counter())


def _as_text(number: Any) -> str:
    """Write a number as others may: programs mix 1, 1.0 and "1"."""
    return str(int(number) if isinstance(number, float) and number.is_integer() else number)


def _read_instances(
    where: str,
    image: dict[str, Any],
    instances: list[dict[str, Any]],
    categories: dict[str, str],
    height: int,
    width: int,
) -> Annotations:
    check_stated(where, (image.get("height"), image.get("width")), height, width)
    if not instances:
        return Annotations([], Counter({EMPTY: 1}), Counter())
    boxes = crowds = taken = small = 0
    found, classes = [], []
    for each in instances:
        segmentation, crowd = each.get("segmentation"), _as_text(each.get("iscrowd") or 0) != "0"
        if not crowd and segmentation in ([], None) and each.get("bbox"):
            boxes += 1
            continue
        with refusing(f"{where}: annotation {each.get('id')} cannot be used"):
            region = _from_counts(segmentation, height, width) if isinstance(segmentation, dict) else None
            if crowd and (region is None or _parts(region.mask) > 1):
                crowds += 1
                continue
            rings = _rings(segmentation)
            parts = (fill([ring], height, width) for ring in rings if len(ring) > 2)
            found.append(union(parts) if rings else region)
            small += sum(len(ring) < 3 for ring in rings)
            taken += crowd
            classes.append(_class(each.get("category_id"), categories))
    others = {CROWDS: crowds, SINGLE: taken, "instances that have a box only": boxes}
    others["parts of under 3 corners"] = small
    return gather(found, "instances without a pixel in the image", others, classes)


def _class(number: Any, categories: dict[str, str]) -> str | None:
    if number is None:
        return None
    if categories and _as_text(number) not in categories:
        raise ValueError(f"its category_id is {number!r:.40}, which is of no category that the file lists")
    return categories.get(_as_text(number), f"category {number}")


def _parts(mask: Bool[np.ndarray, "rows columns"]) -> int:
    """Count the parts of a mask, which pixels that touch at a corner connect."""
    return int(cv2.connectedComponents(mask.view(np.uint8), connectivity=8)[0]) - 1


def _rings(segmentation: Any) -> list[Float[np.ndarray, "_ 2"]]:
    """Read the polygons of an instance, where some programs write a single one, in pairs or not; none for runs."""
    if isinstance(segmentation, dict):
        return []
    if not isinstance(segmentation, list):
        raise ValueError(f"its segmentation is {segmentation!r:.40}, neither polygons nor run lengths")
    pairs = len(segmentation) > 2 and all(isinstance(each, list) and len(each) == 2 for each in segmentation)
    alone = pairs or (segmentation and all(isinstance(each, int | float) for each in segmentation))
    polygons = [segmentation] if alone else segmentation
    return [corners(polygon, f"its polygon {number}") for number, polygon in enumerate(polygons, 1)]


def _from_counts(segmentation: dict[str, Any], height: int, width: int) -> Region | None:
    size, counts = segmentation.get("size"), segmentation.get("counts")
    if size != [height, width]:
        raise ValueError(f"its segmentation has the size {size!s:.40}, the image {height}x{width}")
    counts = unpack_counts(counts) if isinstance(counts, str) else counts
    counts = counts if isinstance(counts, list) else []
    if not all(isinstance(count, int) and count >= 0 for count in counts) or sum(counts) != height * width:
        raise ValueError(f"its counts are not whole numbers that add up to the {height * width} pixels of the image")
    lengths = np.array(counts, np.int64)
    ends = np.cumsum(lengths)
    return from_runs((ends - lengths)[1::2], lengths[1::2], height, width)


def _annotations(images: Sequence[Listed]) -> Iterator[dict[str, Any]]:
    numbers = count(1)  # goes on from image to image
    for image_number, image in enumerate(images, 1):
        height, width = image.header["height"], image.header["width"]
        for found in image.objects():
            starts, lengths = map(np.array, found["runs"])
            top, left = found["top"], found["left"]
            yield {
                "id": next(numbers),
                "image_id": image_number,
                "category_id": 1,
                "segmentation": {"size": [height, width], "counts": coco_counts(starts, lengths, height * width)},
                "area": found["area"],
                "bbox": [left, top, found["right"] - left, found["bottom"] - top],
                "iscrowd": 0,
                "score": found["mean_probability"],
            }
