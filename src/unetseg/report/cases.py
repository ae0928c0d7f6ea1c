"""Read test images with their truth and their prediction."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Int32, UInt8, UInt16

from unetseg.files import read_csv
from unetseg.objects.separation import separated_objects


@dataclass(frozen=True)
class Case:
    """A test image with its objects and its prediction, at the model's size."""

    id: str
    dice: float
    image: UInt8[np.ndarray, "size size 3"]
    labels: UInt16[np.ndarray, "size size"]
    mask: Bool[np.ndarray, "size size"]
    objects: Int32[np.ndarray, "size size"]


def read_cases(
    arrays: Path,
    predictions: Path,
    rows: Sequence[Mapping[str, str]],
    *,
    threshold: float,
    depth: float,
    min_size: int,
) -> list[Case]:
    """Read some test images for display.

    Args:
        arrays: the folder of images.npy, labels.npy and samples.csv.
        predictions: the folder of probabilities.npy and ids.csv.
        rows: their rows of metrics/per_image.csv.
        threshold: probability from which a pixel is foreground.
        depth: of `unetseg.objects.separation.separated_objects`.
        min_size: of `unetseg.objects.separation.separated_objects`.
    """
    images, labels = (np.load(arrays / f"{name}.npy", mmap_mode="r") for name in ("images", "labels"))
    probabilities = np.load(predictions / "probabilities.npy", mmap_mode="r")
    index, place = (
        {row["id"]: int(row["index"]) for row in read_csv(table)}
        for table in (arrays / "samples.csv", predictions / "ids.csv")
    )
    cases = []
    for name, dice in ((row["id"], float(row["dice"])) for row in rows):
        probability, at = np.array(probabilities[place[name]]), index[name]
        objects = separated_objects(probability, threshold, depth, min_size)
        mask = probability >= np.float32(threshold)
        cases.append(Case(name, dice, np.array(images[at]), np.array(labels[at]), mask, objects))
    return cases
