"""Batches for training and validation.

An image, or a part of one, comes beside the mean, deviation and polarity of the whole image, which normalise it; see
`unetseg.model.assembly.for_tiles`.
"""

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from jaxtyping import Float32, Int64, UInt16

from unetseg.config import AugmentSettings, TrainSettings, check_batch_size
from unetseg.dataset.subsets import subset_rows
from unetseg.images.distances import distance_inside
from unetseg.model import keras
from unetseg.parallel import cores
from unetseg.training.augment import Statistics, augment
from unetseg.training.devices import ALONE, Share
from unetseg.training.sources import Source, open_source

SIGMA = 5.0  # pixels, of the weights of borders, as in the paper
REACH = round(3 * SIGMA)  # at this distance from both objects the weight is below 1/90 of its peak

Batch = tuple[Any, ...]  # inputs by name, (batch, …); truth, (batch, height, width, 1 or 2); of several devices weights


class TrainingBatches(keras.utils.PyDataset):
    """Augmented batches, in a new order each epoch.

    Order and augmentation depend on (seed, epoch, position) alone, so any epoch can be had again: a training that was
    interrupted continues with the same batches. Set `epoch` to select an epoch; before the first one begins, the
    batches show in turn the sizes that will come, so that TensorFlow compiles once for all.

    All cores work on the examples of a batch, and on those of the next one while the network learns from it: one core
    cannot keep a GPU busy.
    """

    def __init__(
        self,
        source: Source,
        indices: Sequence[int],
        settings: TrainSettings,
        strength: AugmentSettings,
        kinds: Sequence[str],
        share: Share = ALONE,
    ) -> None:
        """Set the samples and select those to use; those after the last full batch are left out, others in each epoch.

        With `settings.border` the source gives label images, and the extra weights of the gaps between touching objects
        come as a second channel of the truth. `kinds` holds the kind of each of the `indices`, for `settings.balance`.

        Raises:
            InputError: if there are fewer samples than one batch takes.
        """
        super().__init__()
        check_batch_size(settings.batch_size, len(indices))
        self.source, self.indices = source, np.asarray(indices, np.int64)
        self.settings, self.strength = settings, strength
        self.chances = _chances(kinds, settings.balance) if settings.balance else None
        self.epoch, self.begun, self.share = 0, True, share
        self._order = lru_cache(maxsize=1)(self._draw_order)  # for each batch anew it would take most of the time
        self._threads = ThreadPoolExecutor(cores())
        self._coming: dict[tuple[int, int], list[Future[Any]]] = {}  # at most one batch, by its epoch and number

    @property
    def num_batches(self) -> int:
        """Return the number of batches per epoch."""
        return len(self.indices) // self.settings.batch_size

    def order(self) -> Int64[np.ndarray, " n"]:
        """Draw this epoch's order of samples."""
        return self._order(self.epoch)

    def _draw_order(self, epoch: int) -> Int64[np.ndarray, " n"]:
        rng = np.random.default_rng((self.settings.seed, epoch))
        if self.chances is None:
            return rng.permutation(self.indices)
        return rng.choice(self.indices, len(self.indices), p=self.chances)

    def __getitem__(self, number: int) -> Batch:
        """Make batch `number` of this epoch, and begin the next one."""
        examples = self._coming.pop((self.epoch, number), None) or self._examples(number)
        self._coming.clear()
        if self.begun and number + 1 < self.num_batches:
            self._coming[self.epoch, number + 1] = self._examples(number + 1)
        images, masks, known = zip(*(each.result() for each in examples), strict=True)
        truth = [(np.stack(masks) > 0).astype(np.float32)]
        if border := self.settings.border:
            truth.append(np.stack([border_weights(labels, border) for labels in masks]))
        return _inputs(images, known), np.stack(truth, axis=-1)

    def _examples(self, number: int) -> list[Future[Any]]:
        """Begin to make the examples of a batch that are this process' share."""
        epoch = self.epoch if self.begun else number % 2 * (self.settings.epochs - 1)
        size = self.settings.crop if epoch < self.settings.crop_epochs else None

        def example(index: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, Statistics]:
            return augment(*self.source.example(index, rng), self.strength, rng, size)

        return [self._threads.submit(example, *drawn) for drawn in self.share.of(self.draw(number))]

    def draw(self, number: int) -> list[tuple[int, np.random.Generator]]:
        """Return the samples of a batch, each with its random generator."""
        seed, size = self.settings.seed, self.settings.batch_size
        start = number * size
        chosen = self.order()[start : start + size].tolist()
        return [(index, np.random.default_rng((seed, self.epoch, start + place))) for place, index in enumerate(chosen)]


class PlainBatches(keras.utils.PyDataset):
    """Samples without augmentation in the given order, for validation."""

    def __init__(self, source: Source, indices: Sequence[int], *, batch_size: int, share: Share = ALONE) -> None:
        """Set the samples and select those to use; the last batch may be smaller.

        Where several devices share a batch, the last one is filled up with its last sample, which then weighs nothing.
        """
        super().__init__()
        self.source, self.indices, self.batch_size, self.share = source, list(indices), batch_size, share
        self.filled = -len(self.indices) % share.devices

    @property
    def num_batches(self) -> int:
        """Give the number of batches."""
        return -(-len(self.indices) // self.batch_size)

    def __getitem__(self, number: int) -> Batch:
        """Make batch `number`."""
        count = len(self.indices)
        start, stop = number * self.batch_size, min((number + 1) * self.batch_size, count + self.filled)
        own = self.share.of(range(start, stop))
        chosen = [self.indices[min(place, count - 1)] for place in own]
        images, masks, known = zip(*map(self.source.example, chosen), strict=True)
        batch = _inputs(images, known), (np.stack(masks)[..., None] > 0).astype(np.float32)
        if self.share.devices == 1:
            return batch
        even = 1 + self.filled / count  # Keras divides the loss by the number of samples, not of weights
        return *batch, np.array([even if place < count else 0 for place in own], np.float32)


def open_batches(
    arrays: Path, split: Path, *, mode: str, settings: TrainSettings, strength: AugmentSettings, share: Share = ALONE
) -> tuple[TrainingBatches, PlainBatches]:
    """Open the arrays and return the batches for training and for validation; `mode` is "resize" or "tiles".

    Raises:
        InputError: if the training subset is smaller than a batch.
    """
    training, validation = (subset_rows(arrays / "samples.csv", split, name) for name in ("train", "validation"))
    batches = TrainingBatches(
        open_source(arrays, mode, labels=settings.border > 0),
        [int(row["index"]) for row in training],
        settings,
        strength,
        kinds=[row["modality"] for row in training],
        share=share,
    )
    indices = [int(row["index"]) for row in validation]
    return batches, PlainBatches(open_source(arrays, mode), indices, batch_size=settings.batch_size, share=share)


def border_weights(labels: UInt16[np.ndarray, "height width"], strength: float) -> Float32[np.ndarray, "height width"]:
    r"""Give each background pixel between two objects an extra weight; they are too few to matter otherwise.

    Ronneberger, Fischer and Brox, "U-Net", MICCAI 2015, equation 2, without its first term, which balances classes:

    .. math:: w_0 \exp(-(d_1 + d_2)^2 / (2 \sigma^2))

    Args:
        labels: 0 or the object's number.
        strength: the peak w₀.

    Returns:
        0 inside objects and far from any two; d₁ and d₂ are the distances in pixels to the nearest and the second
        nearest object, σ is 5 pixels.
    """
    nearest = np.full(labels.shape, np.inf, np.float32)
    second = nearest.copy()
    for number in np.unique(labels[labels > 0]):
        column, row, width, height = cv2.boundingRect((labels == number).view(np.uint8))
        box = np.s_[max(row - REACH, 0) : row + height + REACH, max(column - REACH, 0) : column + width + REACH]
        distance = distance_inside(labels[box] != number)
        second[box] = np.minimum(second[box], np.maximum(nearest[box], distance))
        nearest[box] = np.minimum(nearest[box], distance)
    weights = strength * np.exp(-((nearest + second) ** 2) / (2 * SIGMA**2))
    return np.where(labels > 0, 0, weights).astype(np.float32)


def _inputs(images: Sequence[np.ndarray], statistics: Sequence[Statistics]) -> dict[str, np.ndarray]:
    return {
        "tile": np.stack(images, dtype=np.float32, casting="unsafe"),
        "statistics": np.array(statistics, np.float32),
    }


def _chances(kinds: Sequence[str], balance: float) -> np.ndarray:
    """Compute the probability to draw each sample: 1 over the count of its kind, to the power of `balance`."""
    _, kind, counts = np.unique(np.asarray(kinds), return_inverse=True, return_counts=True)
    weights = counts[kind].astype(np.float64) ** -balance
    return np.asarray(weights / weights.sum())
