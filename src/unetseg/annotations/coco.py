"""COCO instances (cocodataset.org, "Data format"), in and out."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int64

from unetseg.annotations.about import Listed
from unetseg.annotations.jsons import list_writer, load_json
from unetseg.annotations.regions import Annotations, Reader, Region, fill, gather, union
from unetseg.annotations.runs import from_runs
from unetseg.errors import InputError
from unetseg.files import atomic_path


def coco_counts(starts: Int64[np.ndarray, " runs"], lengths: Int64[np.ndarray, " runs"], pixels: int) -> list[int]:
    """Write runs as COCO's uncompressed counts: pixels outside and inside, in turn, `pixels` in all."""
    ends = starts + lengths
    outside = np.diff(starts, prepend=0) - np.append(0, lengths[:-1])
    return [*np.stack([outside, lengths], axis=1).ravel().tolist(), pixels - int(ends[-1])]


def unpack_counts(text: str) -> list[int]:
    """Read COCO's compressed counts: numbers in base 32, from the third on less the one two before (its maskApi.c).

    Raises:
        ValueError: if the text ends within a number.
    """
    counts: list[int] = []
    number = shift = 0
    for character in text:
        bits = ord(character) - 48
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
        for number, image in enumerate(images, 1):
            write(_image(number, image.header))
        file.write('],\n"annotations": [')
        write = list_writer(file)
        for annotation in _annotations(images):
            write(annotation)
        file.write("]}\n")


def read_coco(path: Path) -> dict[str, Reader]:
    """Read the instances of all images: polygons, and run lengths whether compressed or not.

    Returns:
        For each image's file name, as it stands in the file, a function that reads its objects.

    Raises:
        InputError: naming the file, if it is not COCO.
    """
    content = load_json(path)
    try:
        images = {image["id"]: image for image in content["images"]}
        instances: dict[Any, list[dict[str, Any]]] = {number: [] for number in images}
        for instance in content["annotations"]:
            instances[instance["image_id"]].append(instance)
        return {
            str(image["file_name"]): partial(_read_instances, path, image, instances[number])
            for number, image in images.items()
        }
    except (TypeError, KeyError) as error:
        rule = "is not COCO JSON with images and annotations"
        raise InputError(f"{path}: {rule} ({type(error).__name__}: {error})") from error


def _read_instances(
    path: Path, image: dict[str, Any], instances: list[dict[str, Any]], height: int, width: int
) -> Annotations:
    size = tuple(image.get(side, known) for side, known in (("height", height), ("width", width)))
    if size != (height, width):
        raise InputError(f"{path}: {image['file_name']}: is {size[0]}x{size[1]} there, its file {height}x{width}")
    try:
        found = [_region(each["segmentation"], height, width) for each in instances]
    except (TypeError, KeyError, ValueError, IndexError) as error:
        raise InputError(f"{path}: {image['file_name']}: {error}") from error
    return gather(found, "instances without a pixel")


def _region(segmentation: Any, height: int, width: int) -> Region | None:
    if isinstance(segmentation, list):
        corners = [np.array(polygon, np.float64).reshape(-1, 2) for polygon in segmentation]
        return union(fill([polygon], height, width) for polygon in corners if len(polygon) > 2)
    if list(segmentation["size"]) != [height, width]:
        raise ValueError(f"a segmentation has the size {segmentation['size']}, the image {height}x{width}")
    counts = segmentation["counts"]
    lengths = np.array(unpack_counts(counts) if isinstance(counts, str) else counts, np.int64)
    ends = np.cumsum(lengths)
    return from_runs((ends - lengths)[1::2], lengths[1::2], height, width)


def _image(number: int, header: Mapping[str, Any]) -> dict[str, Any]:
    plane = {} if header["plane"] is None else {"plane": header["plane"]}
    size = {"height": header["height"], "width": header["width"]}
    return {"id": number, "file_name": header["image"], **size, **plane}


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
