"""Find copies of an image: the same picture again, also turned, mirrored, scaled or encoded anew."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float32

ALIKE = 0.8  # correlation from which two thumbnails show the same
BLOCK = 512  # thumbnails compared with all others at a time


def find_duplicates(thumbnails: Float32[np.ndarray, "n 24 24"]) -> dict[tuple[int, int], bool]:
    """Compare all thumbnails with all others in their eight orientations, by one matrix product each.

    Returns:
        The pairs of positions that show the same, the lower one first, and whether they do so unturned.
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
    """Turn by quarter turns and mirror; the first is unturned."""
    for turns in range(4):
        turned = np.rot90(thumbnails, turns, axes=(1, 2))
        yield turned
        yield turned[:, :, ::-1]
