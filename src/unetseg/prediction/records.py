"""Records of predicted images: the image, the settings, its objects, and the certainty of the model."""

import json
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from unetseg.annotations.runs import find_runs
from unetseg.objects.strips import Found, Strip
from unetseg.prediction.quality import expected_dice, overlap, uncertainty


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

    def certainty(self) -> dict[str, float]:
        """Read the certainty of the model: `uncertainty` and `expected_dice`; see `unetseg.prediction.quality`."""
        with self.path.open(encoding="utf-8") as file:
            return dict(json.loads(deque(file, 1)[0]))


@contextmanager
def write_record(
    path: Path, header: Mapping[str, Any], height: int, width: int, threshold: float, *, runs: bool
) -> Iterator[Callable[[Strip], None]]:
    """Write one line of JSON for the header, one per object, and one for the certainty of the model.

    Args:
        path: the file to write.
        header: what `read_record` gives back.
        height: of the image.
        width: of the image.
        threshold: probability from which a pixel is foreground.
        runs: whether to keep the objects' pixels, too, as runs down the columns.

    Yields:
        A function that takes the next strip.
    """
    with path.open("w", encoding="utf-8") as file:
        file.write(json.dumps(header) + "\n")
        bits, overlaps = 0.0, np.zeros(3)

        def add(strip: Strip) -> None:
            nonlocal bits, overlaps
            overlaps = overlaps + overlap(strip.probability, threshold)
            bits += uncertainty(strip.probability) * strip.probability.size
            for found in strip.objects:
                line = _measure(found, height, width)
                if runs:
                    line["runs"] = [part.tolist() for part in find_runs(found.mask, found.row, found.column, height)]
                file.write(json.dumps(line) + "\n")

        yield add
        certainty = {"uncertainty": bits / (height * width), "expected_dice": expected_dice(overlaps)}
        file.write(json.dumps({name: round(value, 6) for name, value in certainty.items()}) + "\n")


def read_record(path: Path) -> Record | None:
    """Read a record's header; None if there is no record or it is damaged."""
    try:
        with path.open(encoding="utf-8") as file:
            return Record(dict(json.loads(file.readline())), path)
    except (OSError, ValueError, TypeError):
        return None


def _measure(found: Found, height: int, width: int) -> dict[str, Any]:
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
