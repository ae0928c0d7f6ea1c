"""Sources of training examples: whole images of one size, or tiles of larger ones."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt, UInt8, UInt16

from unetseg.files import read_csv
from unetseg.images.intensity import polarity
from unetseg.training.augment import Statistics


class Example(NamedTuple):
    """An image or a tile, its mask or label image, and statistics of the whole image."""

    image: UInt8[np.ndarray, "height width 3"]
    mask: UInt[np.ndarray, "height width"]
    statistics: Statistics


@dataclass(frozen=True, eq=False)
class WholeImages:
    """Each sample is one image, RGB in 0…255, with a mask of 0 and 1 or a label image; usually memory-mapped."""

    images: UInt8[np.ndarray, "n size size 3"]
    masks: UInt[np.ndarray, "n size size"]
    statistics: dict[int, Statistics] = field(default_factory=dict)  # of the images that were asked for

    def example(self, index: int, rng: np.random.Generator | None = None) -> Example:
        """Return the image."""
        del rng
        image, mask = self.images[index], self.masks[index]
        if index not in self.statistics:
            self.statistics[index] = float(image.mean()), float(image.std()), polarity(image, mask)
        return Example(image, mask, self.statistics[index])


class Sample(NamedTuple):
    """The positions of a sample's tiles in the arrays, and statistics of its whole image."""

    tiles: Sequence[int]
    statistics: Statistics


@dataclass(frozen=True, eq=False)
class Tiles:
    """Each sample consists of tiles, of which one is drawn, so that large images cost and count no more.

    They are RGB in 0…255, with label images for masks, usually memory-mapped.
    """

    images: UInt8[np.ndarray, "n size size 3"]
    masks: UInt16[np.ndarray, "n size size"]
    samples: Mapping[int, Sample]

    def example(self, index: int, rng: np.random.Generator | None = None) -> Example:
        """Draw one of the sample's tiles, or return the middle one without `rng`, for validation."""
        tiles, statistics = self.samples[index]
        tile = tiles[int(rng.integers(len(tiles))) if rng else len(tiles) // 2]
        return Example(self.images[tile], self.masks[tile], statistics)


Source = WholeImages | Tiles  # samples by their index in samples.csv; all examples have one size


def open_source(arrays: Path, mode: str, *, labels: bool = False) -> Source:
    """Memory-map the arrays that `preprocess` wrote.

    Args:
        arrays: the folder of samples.csv and, by mode, of images.npy and masks.npy or labels.npy, or of tiles.npy,
            tile_labels.npy and tiles.csv.
        mode: "resize" or "tiles", as `image.mode`.
        labels: return label images instead of masks; tiles always have them.
    """
    names = ("tiles", "tile_labels") if mode == "tiles" else ("images", "labels" if labels else "masks")
    images, masks = (np.load(arrays / f"{name}.npy", mmap_mode="r") for name in names)
    return Tiles(images, masks, _samples(arrays)) if mode == "tiles" else WholeImages(images, masks)


def _samples(arrays: Path) -> dict[int, Sample]:
    tiles = defaultdict(list)
    for row in read_csv(arrays / "tiles.csv"):
        tiles[row["id"]].append(row)
    samples = {}
    for row in read_csv(arrays / "samples.csv"):
        own = tiles[row["id"]]
        statistics = (float(own[0]["mean"]), float(own[0]["deviation"]), float(own[0]["polarity"]))
        samples[int(row["index"])] = Sample([int(tile["index"]) for tile in own], statistics)
    return samples
