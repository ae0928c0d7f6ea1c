"""Memory-mapped arrays to batches for training and for validation."""

from collections.abc import Sequence

import keras
import numpy as np
from jaxtyping import Float32, Int64, UInt, UInt8

from unetseg.network.augment import Augmentation, augment
from unetseg.network.borders import border_weights

Batch = tuple[Float32[np.ndarray, "batch height width 3"], Float32[np.ndarray, "batch height width truth"]]


class TrainingBatches(keras.utils.PyDataset):
    """Augmented batches in an order of their own each epoch.

    Order and augmentation depend on (seed, epoch, position) alone, so any epoch can be had again: a training that was
    interrupted goes on with the very batches that it would have seen.
    """

    def __init__(
        self,
        images: UInt8[np.ndarray, "n height width 3"],
        masks: UInt[np.ndarray, "n height width"],
        indices: Sequence[int],
        *,
        batch_size: int,
        seed: int,
        strength: Augmentation,
        kinds: Sequence[str] | None = None,
        balance: float = 0.0,
        border: float = 0.0,
    ) -> None:
        """Take the arrays, usually memory-mapped, and say which of their samples to use.

        Args:
            images: RGB, 0…255.
            masks: 0 or 1; with `border` label maps, 0 or the object's number.
            indices: samples to train on.
            batch_size: samples a batch; what is left over at an epoch's end is left out, other samples each epoch.
            seed: of order and augmentation.
            strength: of augmentation.
            kinds: the kind of each sample in `indices`, needed for `balance`.
            balance: 0 each sample once an epoch, 1 each kind drawn equally often, between: between.
            border: extra weight of the gap between touching objects, which comes as a second channel of the truth.

        Raises:
            ValueError: if there are fewer samples than one batch takes.
        """
        super().__init__(workers=1, max_queue_size=8)
        if len(indices) < batch_size:
            raise ValueError(f"batch_size {batch_size} is more than the {len(indices)} samples")
        self.images, self.masks, self.indices = images, masks, np.asarray(indices, np.int64)
        self.batch_size, self.seed, self.strength = batch_size, seed, strength
        self.border = border
        self.shares = _shares(kinds, balance) if kinds and balance else None
        self.epoch = 0

    @property
    def num_batches(self) -> int:
        """Give the number of batches an epoch."""
        return len(self.indices) // self.batch_size

    def order(self) -> Int64[np.ndarray, " n"]:
        """Draw this epoch's order of samples."""
        rng = np.random.default_rng((self.seed, self.epoch))
        if self.shares is None:
            return rng.permutation(self.indices)
        return rng.choice(self.indices, len(self.indices), p=self.shares)

    def __getitem__(self, number: int) -> Batch:
        """Make batch `number` of this epoch."""
        pairs = [augment(self.images[index], self.masks[index], self.strength, rng) for index, rng in self.draw(number)]
        images, masks = zip(*pairs, strict=True)
        truth = [(np.stack(masks) > 0).astype(np.float32)]
        if self.border:
            truth.append(np.stack([border_weights(labels, self.border) for labels in masks]))
        return np.stack(images), np.stack(truth, axis=-1)

    def draw(self, number: int) -> list[tuple[int, np.random.Generator]]:
        """Draw the samples of a batch, each with where its chance comes from."""
        start = number * self.batch_size
        chosen = self.order()[start : start + self.batch_size].tolist()
        return [
            (index, np.random.default_rng((self.seed, self.epoch, start + place))) for place, index in enumerate(chosen)
        ]

    def on_epoch_end(self) -> None:
        """Go on to the next epoch's order."""
        self.epoch += 1


class PlainBatches(keras.utils.PyDataset):
    """Samples as they are, in the order given: for validation."""

    def __init__(
        self,
        images: UInt8[np.ndarray, "n height width 3"],
        masks: UInt8[np.ndarray, "n height width"],
        indices: Sequence[int],
        *,
        batch_size: int,
    ) -> None:
        """Take the arrays and say which of their samples to use; the last batch may be smaller."""
        super().__init__(workers=1)
        self.images, self.masks, self.indices = images, masks, np.asarray(indices, np.int64)
        self.batch_size = batch_size

    @property
    def num_batches(self) -> int:
        """Give the number of batches."""
        return -(-len(self.indices) // self.batch_size)

    def __getitem__(self, number: int) -> Batch:
        """Make batch `number`."""
        chosen = self.indices[number * self.batch_size : (number + 1) * self.batch_size]
        return self.images[chosen].astype(np.float32), self.masks[chosen][..., None].astype(np.float32)


def _shares(kinds: Sequence[str], balance: float) -> np.ndarray:
    """Give each sample its chance to be drawn: one over its kind's count, to the power of `balance`."""
    _, kind, counts = np.unique(np.asarray(kinds), return_inverse=True, return_counts=True)
    weights = counts[kind].astype(np.float64) ** -balance
    return np.asarray(weights / weights.sum())
