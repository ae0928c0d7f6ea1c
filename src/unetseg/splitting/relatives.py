"""Find images of the same field, and copies of an image, also rotated, mirrored, resized or encoded again."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Shaped

from unetseg.splitting.fields import find_neighbours

ALIKE = 0.8  # correlation from which two thumbnails are copies
BLOCK = 512  # thumbnails per matrix product


@dataclass(frozen=True)
class Relatives:
    """Pairs of related images, and the number of images with a neighbour in the search and in its control."""

    neighbours: list[tuple[str, str]]
    duplicates: list[tuple[str, str]]
    images_with_neighbour: int
    control: int
    threshold: float

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """All pairs, neighbours and copies."""
        return self.neighbours + self.duplicates


def find_relatives(ids: Sequence[str], traits: Shaped[np.ndarray, " n"]) -> Relatives:
    """Find neighbours and copies among images, given by their names, in any order, and their fingerprints."""
    order = sorted(range(len(ids)), key=lambda number: ids[number])
    copies = find_duplicates(traits["thumbnail"][order])
    repeated = {second for (_, second), unturned in copies.items() if unturned}
    found = find_neighbours(traits, [number for place, number in enumerate(order) if place not in repeated])
    return Relatives(
        neighbours=[(ids[first], ids[second]) for first, second in found.pairs],
        duplicates=[(ids[order[first]], ids[order[second]]) for first, second in sorted(copies)],
        images_with_neighbour=found.images,
        control=found.control,
        threshold=found.threshold,
    )


def find_duplicates(thumbnails: Float32[np.ndarray, "n 24 24"]) -> dict[tuple[int, int], bool]:
    """Compare all thumbnails in all eight orientations, with one matrix product per orientation.

    Returns:
        The pairs of positions of copies, lower position first, and whether both have the same orientation.
    """
    flat = thumbnails.reshape(len(thumbnails), -1)
    pairs: dict[tuple[int, int], bool] = {}
    for number, turned in enumerate(_orientations(thumbnails)):
        other = turned.reshape(flat.shape)
        for start in range(0, len(flat), BLOCK):
            alike = np.argwhere(flat[start : start + BLOCK] @ other[start:].T >= ALIKE) + start
            for first, second in alike[alike[:, 0] < alike[:, 1]].tolist():
                pairs.setdefault((first, second), number == 0)
    return pairs


def _orientations(thumbnails: Float32[np.ndarray, "n 24 24"]) -> Iterator[Float32[np.ndarray, "n 24 24"]]:
    """Rotate by quarter turns and mirror; the first is the original."""
    for turns in range(4):
        turned = np.rot90(thumbnails, turns, axes=(1, 2))
        yield turned
        yield turned[:, :, ::-1]
