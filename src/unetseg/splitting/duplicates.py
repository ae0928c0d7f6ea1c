"""Find copies of an image, also rotated, mirrored, resized or encoded again."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float32

ALIKE = 0.8  # correlation from which two thumbnails are copies
BLOCK = 512  # thumbnails per matrix product


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
