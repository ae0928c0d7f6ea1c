"""Read a subset of the samples with its predictions, and the truth at the samples' own sizes."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float32, Integer, UInt8, UInt16

from unetseg.files import read_csv

TRUTH = "truth.npy"  # the true masks, a bit for each pixel, one after another


class Prediction(NamedTuple):
    """One image: its row of samples.csv and split.csv, its truth, and the predicted probability of foreground.

    `native` is a .npy file of the probability at the image's own size, where that is what the model predicts.
    """

    row: dict[str, str]
    mask: Bool[np.ndarray, "size size"]
    labels: UInt16[np.ndarray, "size size"]
    probability: Float32[np.ndarray, "size size"]
    native: Path | None = None


@dataclass(frozen=True)
class Subset:
    """Samples in the order of samples.csv and of their probabilities; the arrays may be memory-mapped."""

    name: str
    rows: list[dict[str, str]]
    masks: UInt8[np.ndarray, "all size size"]
    labels: UInt16[np.ndarray, "all size size"]
    probabilities: Float32[np.ndarray, "subset size size"]
    natives: Path | None = None  # the folder of <index>.npy, for `Prediction.native`

    def __len__(self) -> int:
        """Count the images."""
        return len(self.rows)

    def __iter__(self) -> Iterator[Prediction]:
        """Yield one image at a time, so that only one is in memory."""
        for row, probability in zip(self.rows, self.probabilities, strict=True):
            index = int(row["index"])
            native = self.natives and self.natives / f"{index}.npy"
            yield Prediction(row, self.masks[index] > 0, np.array(self.labels[index]), np.array(probability), native)


def subset_rows(samples: Path, split: Path, name: str) -> list[dict[str, str]]:
    """Join the rows of samples.csv to those of split.csv, for the samples of one subset."""
    chosen = {row["id"]: row for row in read_csv(split) if row["subset"] == name}
    return [chosen[row["id"]] | row for row in read_csv(samples) if row["id"] in chosen]


def packed(labels: Integer[np.ndarray, "height width"]) -> UInt8[np.ndarray, " bytes"]:
    """Pack the mask of a label image, row by row; the last byte is filled up with background."""
    return np.packbits(labels > 0)


class Truth:
    """The packed masks of the samples of a folder of arrays."""

    def __init__(self, arrays: Path) -> None:
        """Open the masks; they are read one at a time.

        Args:
            arrays: the folder of truth.npy and samples.csv.
        """
        self._bytes = np.load(arrays / TRUTH, mmap_mode="r")
        self._shapes = [(int(row["height"]), int(row["width"])) for row in read_csv(arrays / "samples.csv")]
        self._starts = np.cumsum([0, *(-(-height * width // 8) for height, width in self._shapes)])

    def __getitem__(self, index: int) -> Bool[np.ndarray, "height width"]:
        """Give the mask of a sample, by its index in samples.csv."""
        height, width = self._shapes[index]
        stored = self._bytes[self._starts[index] : self._starts[index + 1]]
        return np.unpackbits(stored, count=height * width).reshape(height, width).view(np.bool_)
