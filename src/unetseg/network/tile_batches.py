"""Batches of tiles at native size, each beside the mean and deviation of its whole image."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
from jaxtyping import Float32, UInt8

from unetseg.errors import InputError
from unetseg.files import read_csv
from unetseg.network.augment import Augmentation, Statistics, augment_tile
from unetseg.network.batches import TrainingBatches
from unetseg.splitting.subsets import subset_rows

Batch = tuple[dict[str, Float32[np.ndarray, "batch ..."]], Float32[np.ndarray, "batch size size 1"]]


class Sample(NamedTuple):
    """The rows of a sample's tiles in the arrays, and the mean and deviation of its whole image."""

    tiles: Sequence[int]
    statistics: Statistics


class TrainingTiles(TrainingBatches):
    """Augmented tiles: an epoch sees one of each sample, drawn anew, so that large images cost and weigh no more."""

    def __init__(
        self,
        images: UInt8[np.ndarray, "n size size 3"],
        masks: UInt8[np.ndarray, "n size size"],
        samples: Sequence[Sample],
        **others: Any,
    ) -> None:
        """Take the tiles, say which belong to a sample; the others are the arguments of `TrainingBatches`."""
        super().__init__(images, masks, range(len(samples)), **others)
        self.samples = samples

    def __getitem__(self, number: int) -> Batch:  # type: ignore[override] # Keras has two forms of batches
        """Make batch `number` of this epoch."""
        examples = []
        for index, rng in self.draw(number):
            tiles, statistics = self.samples[index]
            tile = tiles[int(rng.integers(len(tiles)))]
            examples.append(augment_tile(self.images[tile], self.masks[tile], statistics, self.strength, rng))
        images, masks, known = zip(*examples, strict=True)
        return _batch(np.stack(images), np.stack(masks), known)


class PlainTiles(keras.utils.PyDataset):
    """The middle tile of each sample, as it is: for validation, where large images weigh no more than small ones."""

    def __init__(
        self,
        images: UInt8[np.ndarray, "n size size 3"],
        masks: UInt8[np.ndarray, "n size size"],
        samples: Sequence[Sample],
        *,
        batch_size: int,
    ) -> None:
        """Take the tiles and say which belong to a sample; the last batch may be smaller."""
        super().__init__(workers=1)
        self.images, self.masks, self.samples, self.batch_size = images, masks, samples, batch_size

    @property
    def num_batches(self) -> int:
        """Give the number of batches."""
        return -(-len(self.samples) // self.batch_size)

    def __getitem__(self, number: int) -> Batch:
        """Make batch `number`."""
        chosen = self.samples[number * self.batch_size : (number + 1) * self.batch_size]
        middle = [sample.tiles[len(sample.tiles) // 2] for sample in chosen]
        return _batch(self.images[middle], self.masks[middle], [sample.statistics for sample in chosen])


def open_tiles(
    arrays: Path, split: Path, strength: Mapping[str, Any], *, batch_size: int, seed: int, balance: float, border: float
) -> tuple[TrainingTiles, PlainTiles]:
    """Open the tiles and give the batches to train on and those to validate with; see `training.open_batches`.

    Args:
        arrays: the folder of tiles.npy, tile_masks.npy, tiles.csv and samples.csv.
        split: the table of id and subset.
        strength: the fields of `Augmentation`.
        batch_size: tiles a batch.
        seed: of order, choice of tiles and augmentation.
        balance: see `TrainingBatches`.
        border: 0; tiles have no label maps.

    Raises:
        InputError: if the training subset is smaller than a batch.
        ValueError: if `border` is not 0.
    """
    if border:
        raise ValueError(f"border {border} needs label maps, which tiles do not have")
    images, masks = (np.load(arrays / f"{name}.npy", mmap_mode="r") for name in ("tiles", "tile_masks"))
    known = _samples(arrays / "tiles.csv")
    training, validation = (subset_rows(arrays / "samples.csv", split, name) for name in ("train", "validation"))
    if len(training) < batch_size:
        raise InputError(f"train.batch_size: {batch_size} is more than the {len(training)} training images")
    batches = TrainingTiles(
        images,
        masks,
        [known[row["id"]] for row in training],
        batch_size=batch_size,
        seed=seed,
        strength=Augmentation(**strength),
        kinds=[row["modality"] for row in training],
        balance=balance,
    )
    return batches, PlainTiles(images, masks, [known[row["id"]] for row in validation], batch_size=batch_size)


def _samples(table: Path) -> dict[str, Sample]:
    rows = defaultdict(list)
    for row in read_csv(table):
        rows[row["id"]].append(row)
    return {
        name: Sample([int(row["index"]) for row in own], (float(own[0]["mean"]), float(own[0]["deviation"])))
        for name, own in rows.items()
    }


def _batch(images: np.ndarray, masks: np.ndarray, statistics: Sequence[Statistics]) -> Batch:
    inputs = {"tile": images.astype(np.float32), "statistics": np.array(statistics, np.float32)}
    return inputs, masks[..., None].astype(np.float32)
