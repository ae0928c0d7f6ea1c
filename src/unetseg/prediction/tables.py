"""Gather the records of all images in one table, one COCO file, or one submission to the Data Science Bowl."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from unetseg.annotations.runs import bowl_text, coco_counts
from unetseg.files import atomic_path, write_csv
from unetseg.prediction.records import Record

MEASURES = ("label", "area", "centroid_row", "centroid_column", "top", "left", "bottom", "right", "mean_probability")
COLUMNS = ("image", "plane", *MEASURES, "touches_border", "pixel_height_um", "pixel_width_um", "area_um2")


def write_objects(path: Path, records: Sequence[Record]) -> None:
    """Write a row an object; what is in µm is empty where the image does not say how large its pixels are."""
    write_csv(path, (row for record in records for row in _rows(record)), COLUMNS)


def write_coco(path: Path, records: Sequence[Record]) -> None:
    """Write instances as COCO JSON (cocodataset.org, "Data format"), their pixels as uncompressed run lengths."""
    with atomic_path(path) as beside, beside.open("w", encoding="utf-8") as file:
        file.write('{"categories": [{"id": 1, "name": "object"}],\n"images": [')
        _write_list(file.write, (_coco_image(*each) for each in enumerate(records, 1)))
        file.write('],\n"annotations": [')
        _write_list(file.write, _coco_annotations(records))
        file.write("]}\n")


def write_bowl(path: Path, records: Sequence[Record]) -> None:
    """Write run lengths as the Data Science Bowl's submission: a row an object, an empty one for an image without."""
    names = [record.header["name"] for record in records]
    stems = [PurePosixPath(name).name for name in names]
    ids = stems if len(set(stems)) == len(stems) else names
    rows = (
        {"ImageId": name, "EncodedPixels": text}
        for name, record in zip(ids, records, strict=True)
        for text in _bowl_texts(record)
    )
    write_csv(path, rows, ("ImageId", "EncodedPixels"))


def _rows(record: Record) -> Iterator[dict[str, Any]]:
    header = record.header
    height, width = header["pixel"] or (None, None)
    for found in record.objects():
        found.pop("runs", None)
        area = None if height is None else round(found["area"] * height * width, 6)
        sizes = {"pixel_height_um": height, "pixel_width_um": width, "area_um2": area}
        yield {"image": header["image"], "plane": header["plane"], **found, **sizes}


def _write_list(write: Any, items: Iterator[dict[str, Any]]) -> None:
    before = "\n"
    for item in items:
        write(before + json.dumps(item))
        before = ",\n"


def _coco_image(number: int, record: Record) -> dict[str, Any]:
    header = record.header
    plane = {} if header["plane"] is None else {"plane": header["plane"]}
    size = {"height": header["height"], "width": header["width"]}
    return {"id": number, "file_name": header["image"], **size, **plane}


def _coco_annotations(records: Sequence[Record]) -> Iterator[dict[str, Any]]:
    number = 0
    for image, record in enumerate(records, 1):
        size = [record.header["height"], record.header["width"]]
        for number, found in enumerate(record.objects(), number + 1):  # noqa: B020 - goes on from image to image
            starts, lengths = map(np.array, found["runs"])
            top, left = found["top"], found["left"]
            yield {
                "id": number,
                "image_id": image,
                "category_id": 1,
                "segmentation": {"size": size, "counts": coco_counts(starts, lengths, size[0] * size[1])},
                "area": found["area"],
                "bbox": [left, top, found["right"] - left, found["bottom"] - top],
                "iscrowd": 0,
                "score": found["mean_probability"],
            }


def _bowl_texts(record: Record) -> list[str]:
    return [bowl_text(*map(np.array, found["runs"])) for found in record.objects()] or [""]
