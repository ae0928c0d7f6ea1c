"""Gather the objects of all images in one table."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from unetseg.files import write_csv
from unetseg.prediction.records import Record

MEASURES = ("label", "area", "centroid_row", "centroid_column", "top", "left", "bottom", "right", "mean_probability")
COLUMNS = ("image", "plane", *MEASURES, "touches_border", "pixel_height_um", "pixel_width_um", "area_um2")


def write_images(path: Path, images: Sequence[dict[str, Any]]) -> None:
    """Write a row per image of predict.json, the lowest estimated Dice first: look at these, and label some."""
    rows = sorted(images, key=lambda image: (image["estimated_dice"], image["image"]))
    columns = ("image", "plane", "zoom", "objects", "estimated_dice", "verdict", "uncertainty")
    write_csv(path, ({name: row.get(name) for name in columns} for row in rows), columns)


def write_objects(path: Path, records: Sequence[Record]) -> None:
    """Write one row per object; columns in µm are empty if the size of the image's pixels is unknown."""
    write_csv(path, (row for record in records for row in _rows(record)), COLUMNS)


def _rows(record: Record) -> Iterator[dict[str, Any]]:
    header = record.header
    height, width = header["pixel"] or (None, None)
    for found in record.objects():
        found.pop("runs", None)
        area = None if height is None else round(found["area"] * height * width, 6)
        sizes = {"pixel_height_um": height, "pixel_width_um": width, "area_um2": area}
        yield {"image": header["image"], "plane": header["plane"], **found, **sizes}
