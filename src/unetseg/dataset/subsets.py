"""Read which samples a subset has, and the truth at the samples' own sizes."""

from pathlib import Path

import numpy as np
from jaxtyping import Bool, Integer, UInt8

from unetseg.files import read_csv

TRUTH = "truth.npy"  # the true masks, a bit for each pixel, one after another


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
