"""A subset of the samples with its predictions, image by image."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import Bool, Float32, Int32, Shaped, UInt8, UInt16

from unetseg.images.resampling import resize
from unetseg.prediction.settings import Settings


class PredictedImage(NamedTuple):
    """One image: its row of samples.csv and split.csv, its truth, and the predicted probability of foreground.

    `native` is a .npy file of the probability at the image's own size, where that is what the model predicts, and
    `zoom` the pixels that the model saw for each of it along a side; without it, the model sees the arrays' pixels.
    `labels` are the true objects at that size.
    """

    row: dict[str, str]
    mask: Bool[np.ndarray, "size size"]
    labels: UInt16[np.ndarray, "height width"]
    probability: Float32[np.ndarray, "size size"]
    native: Path | None = None
    zoom: float = 1.0

    @property
    def seen(self) -> Float32[np.ndarray, "height width"]:
        """The probability of which the objects are numbered: with `native` as in `unetseg predict`."""
        return np.asarray(np.load(self.native)) if self.native else self.probability

    @property
    def at_own_size(self) -> Float32[np.ndarray, "height width"]:
        """The probability at the image's own size: as it is predicted there, else resized from the arrays' size."""
        if self.native:
            return self.seen
        return resize(self.probability, int(self.row["height"]), int(self.row["width"]))

    def objects(self, settings: Settings) -> Int32[np.ndarray, "height width"]:
        """Number the objects, with `native` as `unetseg predict` does."""
        return settings.number(self.zoom)(self.seen)

    def fitted(self, labels: Int32[np.ndarray, "height width"]) -> Int32[np.ndarray, "size size"]:
        """Take the label nearest to the centre of each pixel of the arrays."""
        return np.asarray(cv2.resize(labels, self.mask.shape[::-1], interpolation=cv2.INTER_NEAREST_EXACT))


class Natives(NamedTuple):
    """Predictions at the images' own sizes: the folder of <index>.npy, the zooms, and the true objects by their row."""

    folder: Path
    zooms: Sequence[float]
    labels: Callable[[Mapping[str, str]], Shaped[np.ndarray, "height width *channels"]]


@dataclass(frozen=True)
class PredictedSubset:
    """Samples in the order of samples.csv and of their probabilities; the arrays may be memory-mapped."""

    name: str
    rows: list[dict[str, str]]
    masks: UInt8[np.ndarray, "all size size"]
    labels: UInt16[np.ndarray, "all size size"]
    probabilities: Float32[np.ndarray, "subset size size"]
    natives: Natives | None = None
    folder: Path | None = None  # of the probabilities, if they are kept

    def __len__(self) -> int:
        """Count the images."""
        return len(self.rows)

    def __iter__(self) -> Iterator[PredictedImage]:
        """Yield one image at a time, so that only one is in memory."""
        for place, (row, probability) in enumerate(zip(self.rows, self.probabilities, strict=True)):
            index = int(row["index"])
            image = PredictedImage(row, self.masks[index] > 0, np.array(self.labels[index]), np.array(probability))
            if own := self.natives:
                native = own.folder / f"{index}.npy"
                image = image._replace(labels=own.labels(row), native=native, zoom=own.zooms[place])
            yield image
