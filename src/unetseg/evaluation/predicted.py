"""A subset of the samples with its predictions, image by image."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float32, UInt8, UInt16


class PredictedImage(NamedTuple):
    """One image: its row of samples.csv and split.csv, its truth, and the predicted probability of foreground.

    `native` is a .npy file of the probability at the image's own size, where that is what the model predicts.
    """

    row: dict[str, str]
    mask: Bool[np.ndarray, "size size"]
    labels: UInt16[np.ndarray, "size size"]
    probability: Float32[np.ndarray, "size size"]
    native: Path | None = None


@dataclass(frozen=True)
class PredictedSubset:
    """Samples in the order of samples.csv and of their probabilities; the arrays may be memory-mapped."""

    name: str
    rows: list[dict[str, str]]
    masks: UInt8[np.ndarray, "all size size"]
    labels: UInt16[np.ndarray, "all size size"]
    probabilities: Float32[np.ndarray, "subset size size"]
    natives: Path | None = None  # the folder of <index>.npy, for `PredictedImage.native`

    def __len__(self) -> int:
        """Count the images."""
        return len(self.rows)

    def __iter__(self) -> Iterator[PredictedImage]:
        """Yield one image at a time, so that only one is in memory."""
        for row, probability in zip(self.rows, self.probabilities, strict=True):
            index = int(row["index"])
            native = self.natives and self.natives / f"{index}.npy"
            yield PredictedImage(
                row, self.masks[index] > 0, np.array(self.labels[index]), np.array(probability), native
            )
