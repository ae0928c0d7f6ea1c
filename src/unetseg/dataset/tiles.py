"""Cut samples into tiles at native size."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Shaped, UInt8, UInt16

from unetseg.files import read_csv
from unetseg.images.intensity import polarity
from unetseg.images.tiling import lay


class Tile(NamedTuple):
    """A square of a sample, and its row of tiles.csv without the index."""

    row: dict[str, Any]
    image: UInt8[np.ndarray, "size size 3"]
    labels: UInt16[np.ndarray, "size size"]


def cut(
    name: str, image: UInt8[np.ndarray, "height width 3"], labels: UInt16[np.ndarray, "height width"], size: int
) -> Iterator[Tile]:
    """Cut a sample into the fewest tiles that cover it, evenly placed; smaller ones are mirrored at bottom and right.

    The rows hold the mean, the deviation and the polarity of the whole image: that is what a model which predicts an
    image in tiles normalises them by. `image` is RGB, 0 to 255; `labels` are 0 or the object's number.
    """
    height, width = labels.shape
    border = ((0, max(0, size - height)), (0, max(0, size - width)))
    padded = np.pad(image, (*border, (0, 0)), "symmetric")
    numbered = np.pad(labels, border, "symmetric")
    facts = {"mean": float(image.mean()), "deviation": float(image.std()), "polarity": polarity(image, labels)}
    for row in lay(max(height, size), size, 0, 1).starts:
        for column in lay(max(width, size), size, 0, 1).starts:
            square = np.s_[row : row + size, column : column + size]
            yield Tile({"id": name, "row": row, "column": column, **facts}, padded[square], numbered[square])


def whole(arrays: Path, name: str) -> Callable[[Mapping[str, str]], Shaped[np.ndarray, "height width *channels"]]:
    """Give the function that puts a sample together from `tiles` or `tile_labels`, by its row of samples.csv."""
    tiles, places = np.load(arrays / f"{name}.npy", mmap_mode="r"), defaultdict(list)
    for row in read_csv(arrays / "tiles.csv"):
        places[row["id"]].append([int(row[name]) for name in ("index", "row", "column")])
    size = tiles.shape[1]

    def join(sample: Mapping[str, str]) -> Shaped[np.ndarray, "height width *channels"]:
        height, width = int(sample["height"]), int(sample["width"])
        joined = np.empty((max(height, size), max(width, size), *tiles.shape[3:]), tiles.dtype)
        for index, row, column in places[sample["id"]]:
            joined[row : row + size, column : column + size] = tiles[index]
        return joined[:height, :width]

    return join
