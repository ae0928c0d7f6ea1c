"""Find copies of an image: the same picture again, also turned, mirrored, scaled or encoded anew."""

from collections.abc import Iterator

import cv2
import numpy as np
from jaxtyping import Float32, Shaped

SIZE = 24  # pixels of a thumbnail's side: real strangers correlate to at most 0.6, two slices of one embryo to 0.94
DEGREE = 4  # of the polynomials that are taken away: uneven light, which strangers share
ALIKE = 0.8  # correlation from which two thumbnails show the same
FLAT = 0.01  # grey levels; a thumbnail that varies less shows nothing
BLOCK = 512  # thumbnails compared with all others at a time

_BASIS = np.linalg.qr(np.polynomial.legendre.legvander(np.linspace(-1, 1, SIZE), DEGREE))[0]
_SURFACE = np.asarray(_BASIS @ _BASIS.T, np.float32)  # from both sides: what polynomials of rows and columns explain


def thumbnail(image: Shaped[np.ndarray, "height width channels"]) -> Float32[np.ndarray, "24 24"]:
    """Shrink an image to its details: grey, without slow changes of light, of unit norm."""
    grey = cv2.resize(image.mean(axis=2, dtype=np.float32), (SIZE, SIZE), interpolation=cv2.INTER_AREA)
    detail = grey - _SURFACE @ grey @ _SURFACE
    return np.asarray(detail / max(float(np.linalg.norm(detail)), FLAT * SIZE), np.float32)


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
