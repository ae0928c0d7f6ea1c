"""Find the images that show the same field or the same picture, by reading each of them once."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from unetseg.images.pictures import read_picture
from unetseg.progress import progress
from unetseg.splitting.duplicates import find_duplicates, thumbnail
from unetseg.splitting.fields import Border, borders, find_neighbours


@dataclass(frozen=True)
class Relatives:
    """Pairs of names that belong together, and in how many images the search and its control found a neighbour."""

    neighbours: list[tuple[str, str]]
    duplicates: list[tuple[str, str]]
    images_with_neighbour: int
    control: int
    threshold: float

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """All pairs, whatever relates them."""
        return self.neighbours + self.duplicates


def find_relatives(paths: Mapping[str, Path]) -> Relatives:
    """Read each image, keep its borders and a thumbnail, and find neighbours and copies among them.

    Args:
        paths: the image file of each name; their order does not matter.

    Raises:
        InputError: naming an image that cannot be read.
    """
    names = np.array(sorted(paths), object)
    with ThreadPoolExecutor() as pool:
        work = pool.map(_describe, (paths[name] for name in names))
        read = list(progress(work, "fields", len(names)))
    copies = find_duplicates(np.stack([small for _, small in read]))
    repeated = {second for (_, second), unturned in copies.items() if unturned}
    kept = [number for number in range(len(names)) if number not in repeated]
    found = find_neighbours([read[number][0] for number in kept])
    return Relatives(
        neighbours=[(names[kept[first]], names[kept[second]]) for first, second in found.pairs],
        duplicates=[(names[first], names[second]) for first, second in sorted(copies)],
        images_with_neighbour=found.images,
        control=found.control,
        threshold=found.threshold,
    )


def _describe(path: Path) -> tuple[dict[str, Border], Float32[np.ndarray, "24 24"]]:
    image = read_picture(path).pixels
    if np.issubdtype(image.dtype, np.floating):
        image = image * np.float32(65535)  # in small steps, whether it counts to 1 or to more
    return borders(image), thumbnail(image)
