"""Find images of the same field and copies of an image, by their fingerprints."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Shaped

from unetseg.images.fingerprint import stored_borders
from unetseg.splitting.duplicates import find_duplicates
from unetseg.splitting.fields import find_neighbours


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
    """Find neighbours and copies among images.

    Args:
        ids: the name of each image; their order does not matter.
        traits: what `unetseg.images.fingerprint.traits` says of each.
    """
    order = sorted(range(len(ids)), key=lambda number: ids[number])
    names = [ids[number] for number in order]
    copies = find_duplicates(traits["thumbnail"][order])
    repeated = {second for (_, second), unturned in copies.items() if unturned}
    kept = [number for number in range(len(names)) if number not in repeated]
    found = find_neighbours([stored_borders(traits[order[number]]) for number in kept])
    return Relatives(
        neighbours=[(names[kept[first]], names[kept[second]]) for first, second in found.pairs],
        duplicates=[(names[first], names[second]) for first, second in sorted(copies)],
        images_with_neighbour=found.images,
        control=found.control,
        threshold=found.threshold,
    )
