"""Find images that were cut from one larger field, and copies of an image.

In a field the border of one image continues in the border of the other. Two images are taken for neighbours if each
one's border is the nearest of all to the other's, and if the step across the two is small both against the steps just
inside them and against the runner-up: the next border, or the same one mirrored. Dark, flat borders are as close to the
runner-up as to each other and never match. The threshold comes from a control: the same search with one side mirrored,
which finds only unrelated images.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32, Int, Shaped
from sklearn.neighbors import NearestNeighbors

from unetseg.images.fingerprint import SIDES, kept, root_mean_square

LOOSEST = 0.95  # above this score unrelated pairs multiply in every control tried; a few images alone cannot show it
CONTROL = 0.01  # the control may find at most this share of what the search finds
ROUNDING = 0.05  # grey levels after the square root; smaller steps are noise
MEETING = (("right", "left"), ("bottom", "top"))  # sides of two images in one field
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


def find_relatives(ids: Sequence[str], fingerprints: Shaped[np.ndarray, " n"]) -> Relatives:
    """Find neighbours and copies among images, given by their names, in any order, and their fingerprints."""
    order = sorted(range(len(ids)), key=lambda number: ids[number])
    copies = find_duplicates(fingerprints["thumbnail"][order])
    repeated = {second for (_, second), unturned in copies.items() if unturned}
    found = find_neighbours(fingerprints, [number for place, number in enumerate(order) if place not in repeated])
    return Relatives(
        neighbours=[(ids[first], ids[second]) for first, second in found.pairs],
        duplicates=[(ids[order[first]], ids[order[second]]) for first, second in sorted(copies)],
        images_with_neighbour=found.images,
        control=found.control,
        threshold=found.threshold,
    )


@dataclass(frozen=True)
class Neighbours:
    """Pairs of image numbers, and the number of images with a neighbour in the search and in its control."""

    pairs: list[tuple[int, int]]
    images: int
    control: int
    threshold: float


@dataclass(frozen=True)
class Matches:
    """Borders that are each other's nearest, as pairs of image numbers, with their score: the smaller, the surer."""

    pairs: Int[np.ndarray, "n 2"]
    scores: Float[np.ndarray, " n"]

    def images(self, threshold: float) -> int:
        """Count the images in pairs whose score is at most `threshold`."""
        return len(np.unique(self.pairs[self.scores <= threshold]))


def find_neighbours(fingerprints: Shaped[np.ndarray, " n"], images: Sequence[int]) -> Neighbours:
    """Find the images that continue each other, left to right or top to bottom, in the orientation they have.

    Time grows with the square of the number of images (a matrix product), memory linearly.

    Args:
        fingerprints: what `unetseg.images.fingerprint.fingerprint` says of each image.
        images: the numbers of those to compare. Of copies, pass one: they hide each other's neighbours.

    Returns:
        The pairs of neighbours as numbers of images, and the counts.
    """
    numbers = np.array(images, np.int64)
    found, control = _search(fingerprints, numbers, mirrored=False), _search(fingerprints, numbers, mirrored=True)
    threshold = loosest_threshold(found, control)
    pairs = [(int(first), int(second)) for first, second in found.pairs[found.scores <= threshold]]
    return Neighbours(pairs, found.images(threshold), control.images(threshold), threshold)


def loosest_threshold(found: Matches, control: Matches) -> float:
    """Take the loosest threshold at which the control finds no more than its share."""
    for score in np.sort(found.scores[found.scores <= LOOSEST])[::-1]:
        if control.images(score) <= CONTROL * found.images(score):
            return float(score)
    return 0.0


def _search(fingerprints: Shaped[np.ndarray, " n"], images: Int[np.ndarray, " compared"], *, mirrored: bool) -> Matches:
    """Match all borders that can meet: right with left, bottom with top, of the same number of pixels."""
    pairs, scores = [np.empty((0, 2), np.int64)], [np.empty(0)]
    for end, start in (map(SIDES.index, sides) for sides in MEETING):
        pixels = fingerprints["pixels"][images, end]
        for length in np.unique(pixels).tolist():
            members = images[pixels == length]
            if len(members) > 1:
                ends, starts = (fingerprints["values"][members, side, : kept(length)] for side in (end, start))
                steps = (fingerprints["step"][members, side] for side in (end, start))
                local, score = _match(ends, starts, *steps, mirrored=mirrored)
                pairs.append(members[local])
                scores.append(score)
    return Matches(np.concatenate(pairs), np.concatenate(scores))


def _match(
    ends: Float32[np.ndarray, "n length"],
    starts: Float32[np.ndarray, "n length"],
    end_steps: Float[np.ndarray, " n"],
    start_steps: Float[np.ndarray, " n"],
    *,
    mirrored: bool,
) -> tuple[Int[np.ndarray, "m 2"], Float[np.ndarray, " m"]]:
    """Pair the borders that are each other's nearest and score them: the smaller, the surer."""
    if mirrored:
        starts = np.ascontiguousarray(starts[:, ::-1])
    forward, across, next_start = _nearest(ends, starts)
    backward, _, next_end = _nearest(starts, ends)
    first = np.flatnonzero(backward[forward] == np.arange(len(ends)))
    second = forward[first]
    inside = np.sqrt((end_steps[first] ** 2 + start_steps[second] ** 2) / 2)
    turned = root_mean_square(ends[first] - starts[second, ::-1])
    runner_up = np.minimum(np.minimum(next_start[first], next_end[second]), turned)
    score = (across[first] + ROUNDING) / np.sqrt((inside + ROUNDING) * (runner_up + ROUNDING))
    return np.stack([first, second], axis=1), score


def _nearest(
    these: Float32[np.ndarray, "n length"], those: Float32[np.ndarray, "n length"]
) -> tuple[Int[np.ndarray, " n"], Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """Find for each border the nearest of the other images, its distance, and the distance of the one after it."""
    search = NearestNeighbors(n_neighbors=min(3, len(those)), algorithm="brute").fit(those)
    distances, indices = (np.asarray(found) for found in search.kneighbors(these))
    distances = np.where(indices == np.arange(len(these))[:, None], np.inf, distances / np.sqrt(these.shape[1]))
    order = np.argsort(distances, axis=1)
    distances = np.take_along_axis(distances, order, axis=1)
    nearest = np.take_along_axis(indices, order[:, :1], axis=1)[:, 0]
    return nearest, distances[:, 0], distances[:, 1]


def find_duplicates(thumbnails: Float32[np.ndarray, "n 24 24"]) -> dict[tuple[int, int], bool]:
    """Find copies, also rotated, mirrored, resized or encoded again: compare in all eight orientations.

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
