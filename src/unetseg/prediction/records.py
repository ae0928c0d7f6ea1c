"""Records of predicted images with their objects and the certainty of the model, and the tables made of them."""

import json
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from unetseg.annotations.runs import find_runs
from unetseg.files import write_csv
from unetseg.images.inputs import Input
from unetseg.objects.strips import FoundObject, Strip
from unetseg.prediction.quality import Estimate, stability, steadiness, uncertainty

MEASURES = ("label", "area", "centroid_row", "centroid_column", "top", "left", "bottom", "right", "mean_probability")
COLUMNS = ("name", "image", "plane", *MEASURES, "touches_border", "pixel_height_um", "pixel_width_um", "area_um2")


@dataclass(frozen=True)
class Record:
    """The record of an image: its header, and the file with header, objects and uncertainty."""

    header: dict[str, Any]
    path: Path

    def objects(self) -> Iterator[dict[str, Any]]:
        """Read the objects, one at a time."""
        with self.path.open(encoding="utf-8") as file:
            file.readline()
            yield from (line for line in map(json.loads, file) if "label" in line)

    def has(self, *, runs: bool) -> bool:
        """Tell whether objects were looked for, with `runs` also whether their pixels were kept."""
        kept = not runs or "runs" in next(self.objects(), {"runs": None})
        return kept and self.header.get("objects") != "none"

    def certainty(self) -> dict[str, float]:
        """Read the certainty of the model: `uncertainty` and `stability`; see `unetseg.prediction.quality`."""
        with self.path.open(encoding="utf-8") as file:
            return dict(json.loads(deque(file, 1)[0]))


@contextmanager
def write_record(
    path: Path, header: Mapping[str, Any], height: int, width: int, threshold: float, *, runs: bool
) -> Iterator[Callable[[Strip], None]]:
    """Write one line of JSON for the header, one per object, and one for the certainty of the model.

    With `runs` the objects' pixels are kept, too, as runs down the columns.

    Yields:
        A function that takes the next strip of the image.
    """
    with path.open("w", encoding="utf-8") as file:
        file.write(json.dumps(header) + "\n")
        bits, steady = 0.0, np.zeros(2, np.int64)

        def add(strip: Strip) -> None:
            nonlocal bits, steady
            steady = steady + steadiness(strip.probability, threshold)
            bits += uncertainty(strip.probability) * strip.probability.size
            for found in strip.objects:
                line = _measure(found, height, width)
                if runs:
                    line["runs"] = [part.tolist() for part in find_runs(found.mask, found.row, found.column, height)]
                file.write(json.dumps(line) + "\n")

        yield add
        certainty = {"uncertainty": bits / (height * width), "stability": stability(steady)}
        file.write(json.dumps({name: round(value, 6) for name, value in certainty.items()}) + "\n")


def read_record(path: Path) -> Record | None:
    """Read a record's header; None if there is no record or it is damaged."""
    try:
        with path.open(encoding="utf-8") as file:
            return Record(dict(json.loads(file.readline())), path)
    except (OSError, ValueError, TypeError):
        return None


def _measure(found: FoundObject, height: int, width: int) -> dict[str, Any]:
    """Measure an object; the centre of a pixel is at its row and column, the box ends before `bottom` and `right`."""
    rows, columns = np.nonzero(found.mask)
    bottom, right = found.row + found.mask.shape[0], found.column + found.mask.shape[1]
    return {
        "label": found.label,
        "area": len(rows),
        "centroid_row": round(found.row + float(rows.mean()), 3),
        "centroid_column": round(found.column + float(columns.mean()), 3),
        "top": found.row,
        "left": found.column,
        "bottom": bottom,
        "right": right,
        "mean_probability": round(found.probability, 6),
        "touches_border": int(found.row == 0 or found.column == 0 or bottom == height or right == width),
    }


def list_image(
    source: Input,
    record: Record,
    out: Path,
    files: Mapping[str, Path],
    estimate: Estimate,
    *,
    objects: bool,
    sent: bool,
) -> dict[str, Any]:
    """Describe an image as predict.json lists it and `unetseg report` reads it, with paths from the folder `out`.

    `objects` says whether to count any; `sent`, that the folder is a temporary one: the image's path is whole.
    """
    certainty = record.certainty()
    return {
        "image": source.name,
        "path": source.path_from(None if sent else out),
        "plane": source.plane,
        "channel": source.channel,
        "project": source.project,
        **({"objects": sum(1 for _ in record.objects())} if objects and record.has(runs=False) else {}),
        "zoom": record.header["zoom"],
        "estimated_dice": round(estimate.dice_of(certainty["stability"]), 4),
        "verdict": estimate.verdict(certainty["stability"]),
        "uncertainty": certainty["uncertainty"],
        **{kind: files[kind].relative_to(out).as_posix() for kind in ("mask", "probability") if kind in files},
    }


def write_images(path: Path, images: Sequence[dict[str, Any]], records: Sequence[Record]) -> None:
    """Write a row per image of predict.json, the lowest estimated Dice first: look at these, and label some."""
    named = [
        image | {"name": image["image"], "image": record.header["image"]}
        for image, record in zip(images, records, strict=True)
    ]
    rows = sorted(named, key=lambda image: (image["estimated_dice"], image["name"]))
    columns = ("name", "image", "plane", "zoom", "objects", "estimated_dice", "verdict", "uncertainty")
    write_csv(path, ({name: row.get(name) for name in columns} for row in rows), columns)


def write_objects(path: Path, records: Sequence[Record]) -> None:
    """Write one row per object; columns in µm are empty if the size of the image's pixels is unknown."""
    write_csv(path, (row for record in records for row in _rows(record)), COLUMNS)


def _rows(record: Record) -> Iterator[dict[str, Any]]:
    header = record.header
    height, width = header["pixel"] or (None, None)
    for found in record.objects():
        found.pop("runs", None)
        area = None if height is None else float(f"{found['area'] * height * width:.9g}")
        sizes = {"pixel_height_um": height, "pixel_width_um": width, "area_um2": area}
        yield {"name": header["name"], "image": header["image"], "plane": header["plane"], **found, **sizes}
