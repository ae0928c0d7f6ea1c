"""Find images that were cut from one larger field, and copies of an image.

In a field the border of one image continues in the border of the other. Two images are taken for neighbours if each
one's border is the nearest of all to the other's, and if the step across the two is small both against the steps just
inside them and against the runner-up: the next border, or the same one mirrored. Dark, flat borders are as close to the
runner-up as to each other and never match. The threshold comes from a control: the same search with one side mirrored,
which finds only unrelated images.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Float32, Int, Shaped

from unetseg.images.fingerprint import SIDES, kept, root_mean_square

LOOSEST = 0.95  # above this score unrelated pairs multiply in every control tried; a few images alone cannot show it
CONTROL = 0.01  # the control may find at most this share of what the search finds
ROUNDING = 0.05  # grey levels after the square root; smaller steps are noise
MEETING = (("right", "left"), ("bottom", "top"))  # sides of two images in one field
ALIKE = 0.8  # correlation from which two thumbnails are copies
BLOCK = 512  # images of which each is compared with each of another block at a time, so that memory stays small


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
    order = sorted(range(len(ids)), key=ids.__getitem__)
    copies = find_duplicates(fingerprints["thumbnail"])
    repeated = {max(pair, key=ids.__getitem__) for pair, unturned in copies.items() if unturned}
    found = find_neighbours(fingerprints, [number for number in order if number not in repeated])
    named = [sorted((ids[first], ids[second])) for first, second in copies]
    return Relatives(
        neighbours=[(ids[first], ids[second]) for first, second in found.pairs],
        duplicates=[(first, second) for first, second in sorted(named)],
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

    Time grows with the square of the number of images (a matrix product). Of memory-mapped fingerprints no more than a
    few blocks are in memory.

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
                ends, starts = (_Borders(fingerprints, members, side, kept(length)) for side in (end, start))
                local, score = _match(ends, replace(starts, mirrored=mirrored))
                pairs.append(members[local])
                scores.append(score)
    return Matches(np.concatenate(pairs), np.concatenate(scores))


@dataclass(frozen=True)
class _Borders:
    """One side of some images: an array of images and values, of which as much is read as is asked for."""

    fingerprints: Shaped[np.ndarray, " n"]
    images: Int[np.ndarray, " compared"]
    side: int
    length: int
    mirrored: bool = False

    def __getitem__(self, which: slice | Int[np.ndarray, " chosen"]) -> Float32[np.ndarray, "chosen length"]:
        values = self.fingerprints["values"][self.images[which], self.side, : self.length]
        return np.ascontiguousarray(values[:, ::-1]) if self.mirrored else values

    @property
    def steps(self) -> Float[np.ndarray, " compared"]:
        """Say how much the next line inside differs from each border."""
        return np.asarray(self.fingerprints["step"][self.images, self.side])


def _match(ends: _Borders, starts: _Borders) -> tuple[Int[np.ndarray, "m 2"], Float[np.ndarray, " m"]]:
    """Pair the borders that are each other's nearest and score them: the smaller, the surer."""
    forward, backward = _nearest(ends, starts)
    first = np.flatnonzero(backward[forward[:, 0], 0] == np.arange(len(forward)))
    second = forward[first, 0]
    inside = np.sqrt((ends.steps[first] ** 2 + starts.steps[second] ** 2) / 2)
    across, runner_up = np.empty((2, len(first)))
    for part in _blocks(len(first)):
        end, start = ends[first[part]], starts[second[part]]
        others = [end - start[:, ::-1]]
        if len(forward) > 2:
            others += [end - starts[forward[first[part], 1]], ends[backward[second[part], 1]] - start]
        across[part] = root_mean_square(end - start)
        runner_up[part] = np.min([root_mean_square(difference) for difference in others], axis=0)
    score = (across + ROUNDING) / np.sqrt((inside + ROUNDING) * (runner_up + ROUNDING))
    return np.stack([first, second], axis=1), score


def _nearest(ends: _Borders, starts: _Borders) -> tuple[Int[np.ndarray, "n 2"], Int[np.ndarray, "n 2"]]:
    """Find for each end the two nearest starts of other images, the nearest first, and for each start the ends."""
    count = len(ends.images)
    forward, backward = np.zeros((2, count, 2), np.int64)
    least_forward, least_backward = np.full((2, count, 2), np.inf)
    for those in _blocks(count):
        start = starts[those].astype(np.float64)  # the difference of large squares needs it
        for these in _blocks(count):
            end = ends[these].astype(np.float64)
            squares = end @ (-2 * start.T)
            squares += np.square(end).sum(axis=1)[:, None]
            squares += np.square(start).sum(axis=1)
            if these == those:
                np.fill_diagonal(squares, np.inf)
            _keep_two(least_backward[those], backward[those], squares.T.copy(), these.start)
            _keep_two(least_forward[these], forward[these], squares, those.start)
    return forward, backward


def _keep_two(
    least: Float[np.ndarray, "n 2"], numbers: Int[np.ndarray, "n 2"], table: Float[np.ndarray, "n m"], offset: int
) -> None:
    """Keep, in place, the two least of the values so far and those of a table, and the numbers of their columns.

    The table does not hold its values afterwards.
    """
    rows, first = np.arange(len(table)), table.argmin(axis=1)
    values = np.column_stack([least, table[rows, first]])
    table[rows, first] = np.inf
    second = table.argmin(axis=1)
    values = np.column_stack([values, table[rows, second]])
    columns = np.column_stack([numbers, first + offset, second + offset])
    best = np.argsort(values, axis=1, kind="stable")[:, :2]
    least[:], numbers[:] = (np.take_along_axis(each, best, axis=1) for each in (values, columns))


def _blocks(count: int) -> list[slice]:
    """Cut so many images into blocks."""
    return [slice(start, start + BLOCK) for start in range(0, count, BLOCK)]


def find_duplicates(thumbnails: Float32[np.ndarray, "n 24 24"]) -> dict[tuple[int, int], bool]:
    """Find copies, also rotated, mirrored, resized or encoded again: compare in all eight orientations.

    A flip only changes the signs of `_parts`, so that the products of the parts, and those with the transposed
    thumbnail, give the correlation in all orientations.

    Returns:
        The pairs of positions of copies, lower position first, and whether both have the same orientation.
    """
    pairs: dict[tuple[int, int], bool] = {}
    for those in _blocks(len(thumbnails)):
        upright, transposed = (_parts(each) for each in (thumbnails[those], thumbnails[those].swapaxes(1, 2)))
        for these in _blocks(min(those.stop, len(thumbnails))):
            parts = _parts(thumbnails[these])
            for others in (upright, transposed):
                even, across, along, odd = parts @ others.swapaxes(1, 2)
                same = even + odd + (across + along)
                turned = np.maximum(even + odd - (across + along), even - odd + np.abs(across - along))
                for first, second in np.argwhere(np.maximum(same, turned) >= ALIKE).tolist():
                    pair = these.start + first, those.start + second
                    if pair[0] < pair[1]:
                        unturned = others is upright and bool(same[first, second] >= ALIKE)
                        pairs[pair] = pairs.get(pair, False) or unturned
    return pairs


def _parts(thumbnails: Float32[np.ndarray, "n 24 24"]) -> Float32[np.ndarray, "4 n 144"]:
    """Split each into what is even or odd about its middle row, and that about its middle column; the odd parts last.

    The products of two thumbnails' parts add up to the product of the thumbnails.
    """
    parts = [thumbnails]
    for axis in (1, 2):
        halves = [(first, np.flip(second, axis)) for first, second in (np.split(part, 2, axis) for part in parts)]
        parts = [(first + sign * second) / 2**0.5 for first, second in halves for sign in (1, -1)]
    return np.stack(parts).reshape(4, len(thumbnails), -1)
