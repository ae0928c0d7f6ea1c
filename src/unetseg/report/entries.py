"""Images with their prediction, truth and scores: the entries of the report page, the cases of the pictures.

The folder `arrays` has images.npy, masks.npy, labels.npy and samples.csv; `predictions` probabilities.npy, objects.npy
and ids.csv.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from jaxtyping import Bool, Float32, UInt8, UInt16

from unetseg.files import read_csv
from unetseg.prediction.quality import uncertainty

Row = TypeVar("Row")


@dataclass(frozen=True, eq=False)
class Entry:
    """An image with its prediction; all arrays have the same height and width.

    Attributes:
        id: name, shown as it is.
        image: RGB, 0 to 255.
        mask: predicted, 0 or 1.
        truth: 0 or 1; None where it is not known.
        probability: of foreground, 0..1, to mark uncertain pixels; None if it was not kept.
        scores: name and value of whatever is to be shown; text that is a number counts as one.
    """

    id: str
    image: UInt8[np.ndarray, "height width 3"]
    mask: UInt8[np.ndarray, "height width"]
    truth: UInt8[np.ndarray, "height width"] | None
    probability: Float32[np.ndarray, "height width"] | None
    scores: Mapping[str, Any]


MOST = 1000  # images of one set on a page; more would take seconds to open


def worst_and_sample(rows: Sequence[Row]) -> Sequence[Row]:
    """Choose what a page shows of many images, given worst first: the worst half, and an even sample of the others."""
    if len(rows) <= MOST:
        return rows
    places = np.linspace(MOST // 2, len(rows) - 1, MOST - MOST // 2).astype(int)
    return [*rows[: MOST // 2], *(rows[place] for place in places)]


def scored_entries(
    arrays: Path, predictions: Path, per_image: Sequence[Mapping[str, Any]], threshold: float
) -> Iterator[Entry]:
    """Yield the images of the test subset at the model's size, with their truth, in the order of their rows."""
    masks = np.load(arrays / "masks.npy", mmap_mode="r")
    for row, index, _, image, probability in _predicted(arrays, predictions, per_image):
        scores = {key: value for key, value in row.items() if key not in ("id", "objects_true")}
        scores["objects"] = row["objects_true"]  # of the size at which objects were scored, as `objects_predicted` is
        yield Entry(
            id=row["id"],
            image=image,
            mask=(probability >= np.float32(threshold)).view(np.uint8),
            truth=np.array(masks[index]),
            probability=probability,
            scores=scores | {"uncertainty": uncertainty(probability)},
        )


@dataclass(frozen=True)
class Case:
    """A test image with its objects and its prediction, at the model's size.

    `true` and `predicted` count the objects as in metrics/per_image.csv; at the model's size some may have vanished.
    """

    id: str
    dice: float
    true: int
    predicted: int
    image: UInt8[np.ndarray, "size size 3"]
    labels: UInt16[np.ndarray, "size size"]
    mask: Bool[np.ndarray, "size size"]
    objects: UInt16[np.ndarray, "size size"]


def read_cases(arrays: Path, predictions: Path, rows: Sequence[Mapping[str, str]], *, threshold: float) -> list[Case]:
    """Read some test images for display, with the objects that were scored, brought to the model's size."""
    labels, objects = (np.load(path, mmap_mode="r") for path in (arrays / "labels.npy", predictions / "objects.npy"))
    cases = []
    for row, index, place, image, probability in _predicted(arrays, predictions, rows):
        mask, true, found = probability >= np.float32(threshold), np.array(labels[index]), np.array(objects[place])
        counts = int(row["objects_true"]), int(row["objects_predicted"])
        cases.append(Case(row["id"], float(row["dice"]), *counts, image, true, mask, found))
    return cases


def stretched(image: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h w 3"]:
    """Stretch the contrast so that dark images become visible."""
    low, high = np.percentile(image, (0.5, 99.5))
    low = min(low, 255 - high)  # keeps the black of a bright image
    return np.asarray(np.clip((image - low) * (255 / max(high - low, 1)), 0, 255), np.uint8)


def _predicted(
    arrays: Path, predictions: Path, rows: Sequence[Mapping[str, Any]]
) -> Iterator[tuple[Mapping[str, Any], int, int, UInt8[np.ndarray, "size size 3"], Float32[np.ndarray, "size size"]]]:
    """Yield each row with its index in the arrays and among the predictions, its image and its probability."""
    images = np.load(arrays / "images.npy", mmap_mode="r")
    probabilities = np.load(predictions / "probabilities.npy", mmap_mode="r")
    sample, place = (
        {row["id"]: int(row["index"]) for row in read_csv(table)}
        for table in (arrays / "samples.csv", predictions / "ids.csv")
    )
    for row in rows:
        index, where = sample[row["id"]], place[row["id"]]
        yield row, index, where, np.array(images[index]), np.array(probabilities[where])
