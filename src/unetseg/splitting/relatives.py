"""Find images that were cut from one larger field, and copies of an image.

In a field the border of one image continues in the border of the other. Two images are taken for neighbours if each
one's border is the nearest of all to the other's, and if the step across the two is small both against the steps just
inside them and against the runner-up: the next border, or the same one mirrored. Dark, flat borders are as close to the
runner-up as to each other and never match. The threshold comes from a control: the same search with one side mirrored,
which finds only unrelated images.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from jaxtyping import Float, Float32, Int, Int8, Shaped
from threadpoolctl import threadpool_limits

from unetseg.images.fingerprint import SIDES, kept, root_mean_square
from unetseg.parallel import in_parallel

LOOSEST = 0.95  # above this score unrelated pairs multiply in every control tried; a few images alone cannot show it
CONTROL = 0.01  # the control may find at most this share of what the search finds
ROUNDING = 0.05  # grey levels after the square root; smaller steps are noise
MEETING = (("right", "left"), ("bottom", "top"))  # sides of two images in one field
ALIKE = 0.8  # correlation from which two thumbnails may be of copies
SAME = 1 / 3  # correlation from which details are of copies, see `unetseg.images.fingerprint.FINE`
ROUNDED = 1e-3  # more than a correlation in single precision is wrong by
BLOCK = 500  # images of which each is compared with each of another block at a time, so that memory stays small
WIDE, NARROW = 1000, 300  # the same of thumbnails, of which a part of the many is compared at a time: it fits a cache
FEW = 50  # pairs of details that are compared at a time


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
    copies = find_duplicates(fingerprints)
    repeated = [max(pair, key=ids.__getitem__) for pair, unturned in copies.items() if unturned]
    order = np.array(sorted(range(len(ids)), key=ids.__getitem__), np.int32)
    found = find_neighbours(fingerprints, order[~np.isin(order, repeated)])
    named = [(ids[first], ids[second]) for first, second in copies]
    return Relatives(
        neighbours=[(ids[first], ids[second]) for first, second in found.pairs],
        duplicates=sorted((min(pair), max(pair)) for pair in named),
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


def find_neighbours(
    fingerprints: Shaped[np.ndarray, " n"], images: Sequence[int] | Int[np.ndarray, " compared"]
) -> Neighbours:
    """Find the images that continue each other, left to right or top to bottom, in the orientation they have.

    Time grows with the square of the number of images (a matrix product), less what differs too much in brightness. Of
    memory-mapped fingerprints no more than a few blocks are in memory.

    Args:
        fingerprints: what `unetseg.images.fingerprint.fingerprint` says of each image.
        images: the numbers of those to compare. Of copies, pass one: they hide each other's neighbours.

    Returns:
        The pairs of neighbours as numbers of images, and the counts.
    """
    with _single_threaded_products():
        found, control = _search(fingerprints, np.asarray(images, np.int32))
    threshold = loosest_threshold(found, control)
    pairs = [(int(first), int(second)) for first, second in found.pairs[found.scores <= threshold]]
    return Neighbours(pairs, found.images(threshold), control.images(threshold), threshold)


def loosest_threshold(found: Matches, control: Matches) -> float:
    """Take the loosest threshold at which the control finds no more than its share."""
    for score in np.sort(found.scores[found.scores <= LOOSEST])[::-1]:
        if control.images(score) <= CONTROL * found.images(score):
            return float(score)
    return 0.0


def _search(fingerprints: Shaped[np.ndarray, " n"], images: Int[np.ndarray, " compared"]) -> tuple[Matches, Matches]:
    """Match all borders that can meet: right with left, bottom with top, of the same number of pixels.

    Returns:
        The matches, and those of the control: with the second side of each two mirrored.
    """
    found = [Matches(np.empty((0, 2), np.int32), np.empty(0))], [Matches(np.empty((0, 2), np.int32), np.empty(0))]
    for end, start in (map(SIDES.index, sides) for sides in MEETING):
        pixels = fingerprints["pixels"][images, end]
        for length in np.unique(pixels).tolist():
            members = images[pixels == length]
            if len(members) > 1:
                members = members[np.argsort(_Borders(fingerprints, members, end, kept(length)).norms, kind="stable")]
                ends, starts = (_Borders(fingerprints, members, side, kept(length)) for side in (end, start))
                nearest = _nearest(ends, starts)
                for matches, mirrored, numbers in zip(found, (False, True), nearest, strict=True):
                    matches.append(_match(ends, replace(starts, mirrored=mirrored), *numbers))
    first, second = (
        Matches(np.concatenate([each.pairs for each in some]), np.concatenate([each.scores for each in some]))
        for some in found
    )
    return first, second


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

    @property
    def norms(self) -> Float[np.ndarray, " compared"]:
        """Give the norm of each border: two differ by no less than their norms do, mirrored or not."""
        return np.concatenate(
            [np.linalg.norm(self[part].astype(np.float64), axis=1) for part in _blocks(len(self.images), BLOCK)]
        )


def _match(
    ends: _Borders, starts: _Borders, forward: Int[np.ndarray, "n 2"], backward: Int[np.ndarray, "n 2"]
) -> Matches:
    """Pair the borders that are each other's nearest, as `_nearest` gives them, and score the pairs."""
    first = np.flatnonzero(backward[forward[:, 0], 0] == np.arange(len(forward)))
    second = forward[first, 0]
    inside = np.sqrt((ends.steps[first] ** 2 + starts.steps[second] ** 2) / 2)
    across, runner_up = np.empty((2, len(first)))
    for part in _blocks(len(first), BLOCK):
        end, start = ends[first[part]], starts[second[part]]
        others = [end - start[:, ::-1]]
        if len(forward) > 2:
            others += [end - starts[forward[first[part], 1]], ends[backward[second[part], 1]] - start]
        across[part] = root_mean_square(end - start)
        runner_up[part] = np.min([root_mean_square(difference) for difference in others], axis=0)
    score = (across + ROUNDING) / np.sqrt((inside + ROUNDING) * (runner_up + ROUNDING))
    return Matches(ends.images[np.stack([first, second], axis=1)], score)


def _nearest(ends: _Borders, starts: _Borders) -> Int[np.ndarray, "2 2 n 2"]:
    """Find the two nearest borders of other images for each, the nearest first: the starts of ends, the ends of starts.

    It is done with the starts as they are, and with each mirrored. The search is in single precision; where its
    rounding may have hidden one of the two, it is done again in double precision.
    """
    least, numbers = _roughly_nearest(ends, starts)
    nearest = np.empty((2, 2, len(ends.images), 2), np.int32)
    for turn, mirrored in enumerate((False, True)):
        for way, (these, those) in enumerate(((ends, starts), (starts, ends))):
            rough = least[turn, way], numbers[turn, way]
            nearest[turn, way] = _surely_nearest(these, replace(those, mirrored=mirrored), *rough)
    return nearest


def _roughly_nearest(
    ends: _Borders, starts: _Borders
) -> tuple[Float32[np.ndarray, "2 2 n 3"], Int[np.ndarray, "2 2 n 3"]]:
    """Find the three nearest in single precision, in the order of `_nearest`.

    The squares of their distances, which come first, are at most those in double precision.

    Of two borders, each split into its even and its odd part, only the product of the odd parts changes its sign if one
    is mirrored. The images are in the order of their brightness, so that after blocks that are near in it most of the
    others hold nothing nearer.
    """
    count = len(ends.images)
    least = np.full((2, 2, count, 3), np.inf, np.float32)
    numbers = np.zeros(least.shape, np.int32)
    norms = ends.norms, starts.norms
    shrunk = np.float32(1 - (ends.length + 16) * 2.0**-22)  # by more than rounding adds: 2**-24 for each of its terms

    def compare(these: slice, those: slice) -> None:
        end, start = norms[0][these], norms[1][those]
        apart = max(end.min() - start.max(), start.min() - end.max(), 0)
        if apart**2 > max(least[:, 0, these, -1].max(), least[:, 1, those, -1].max()):
            return
        first, second = ends[these], starts[those]
        middle = first.mean()
        first, second = first - middle, second - middle
        even, odd = (one @ -other.T for one, other in zip(_even_and_odd(first), _even_and_odd(second), strict=True))
        even += np.einsum("ni,ni->n", first, first)[:, None] * shrunk
        even += np.einsum("ni,ni->n", second, second) * shrunk
        if these == those:
            np.fill_diagonal(even, np.inf)
        for turn, squares in enumerate((even + odd, np.subtract(even, odd, out=even))):
            _keep_least(least[turn, 1, those], numbers[turn, 1, those], squares.T, these.start)
            _keep_least(least[turn, 0, these], numbers[turn, 0, these], squares, those.start)

    blocks = _blocks(count, BLOCK)
    for step in sorted(range(1 - len(blocks), len(blocks)), key=abs):  # no two of a step have a block in common
        pairs = [(blocks[place], blocks[place + step]) for place in range(max(0, -step), len(blocks) - max(0, step))]
        for _ in in_parallel(lambda pair: compare(*pair), pairs):
            pass
    return least, numbers


def _even_and_odd(
    values: Float32[np.ndarray, "n length"],
) -> tuple[Float32[np.ndarray, "n even"], Float32[np.ndarray, "n odd"]]:
    """Split √2 times each into what stays and what changes its sign when it is mirrored; half of each says all."""
    half, odd = divmod(values.shape[1], 2)
    first, last = values[:, :half], values[:, half + odd :][:, ::-1]
    middle = [np.float32(2**0.5) * values[:, half, None]] * odd
    return np.hstack([first + last, *middle]), first - last


def _surely_nearest(
    these: _Borders, those: _Borders, least: Float32[np.ndarray, "n 3"], numbers: Int[np.ndarray, "n 3"]
) -> Int[np.ndarray, "n 2"]:
    """Choose the two nearest of three; where another one may be nearer than the second, look at all of `those`."""
    nearest = np.empty((len(numbers), 2), np.int32)

    def choose(part: slice) -> Int[np.ndarray, " unsure"]:
        squares = np.stack(
            [np.square(np.float64(these[part]) - those[each]).sum(axis=1) for each in numbers[part].T], axis=1
        )
        squares[np.isinf(least[part])] = np.inf  # there are no three
        order = np.argsort(squares, axis=1, kind="stable")[:, :2]
        nearest[part] = np.take_along_axis(numbers[part], order, axis=1)
        second = np.take_along_axis(squares, order[:, 1:], axis=1)[:, 0]
        return np.asarray(part.start + np.flatnonzero(second > least[part, -1]))

    again = np.concatenate([*in_parallel(choose, _blocks(len(numbers), BLOCK))])
    places = [again[part] for part in _blocks(len(again), BLOCK)]
    for some, found in zip(places, in_parallel(partial(_exactly_nearest, these, those), places), strict=True):
        nearest[some] = found
    return nearest


def _exactly_nearest(
    these: _Borders, those: _Borders, places: Int[np.ndarray, " chosen"]
) -> Int[np.ndarray, "chosen 2"]:
    """Give the two nearest of `those` for some of `these`, in double precision."""
    least, numbers = np.full((len(places), 2), np.inf), np.zeros((len(places), 2), np.int64)
    some = these[places].astype(np.float64)
    for part in _blocks(len(those.images), BLOCK):
        others = those[part].astype(np.float64)
        squares = some @ (-2 * others.T)
        squares += np.square(some).sum(axis=1)[:, None] + np.square(others).sum(axis=1)
        squares[places[:, None] == np.arange(part.start, part.start + len(others))] = np.inf
        _keep_least(least, numbers, squares, part.start)
    return numbers


def _keep_least(
    least: Float[np.ndarray, "n kept"],
    numbers: Int[np.ndarray, "n kept"],
    table: Float[np.ndarray, "n m"],
    offset: int,
) -> None:
    """Keep, in place, the least of the values so far and those of a table, and the numbers of their columns."""
    rows = np.flatnonzero(table.min(axis=1) < least[:, -1])
    table, values, columns = table[rows], [least[rows]], [numbers[rows]]
    for _ in range(least.shape[1]):
        first = table.argmin(axis=1)[:, None]
        values.append(np.take_along_axis(table, first, axis=1))
        columns.append(first + offset)
        np.put_along_axis(table, first, np.inf, axis=1)
    best = np.argsort(np.hstack(values), axis=1, kind="stable")[:, : least.shape[1]]
    least[rows] = np.take_along_axis(np.hstack(values), best, axis=1)
    numbers[rows] = np.take_along_axis(np.hstack(columns), best, axis=1)


def _single_threaded_products() -> threadpool_limits:
    """Multiply matrices in one thread each: the blocks are shared out over the cores."""
    return threadpool_limits(limits=1, user_api="blas")


def _blocks(count: int, size: int) -> list[slice]:
    """Cut so many images into blocks of this size."""
    return [slice(start, start + size) for start in range(0, count, size)]


def find_duplicates(fingerprints: Shaped[np.ndarray, " n"]) -> dict[tuple[int, int], bool]:
    """Find copies, also rotated, mirrored, resized or encoded again: compare in all eight orientations.

    Pairs of thumbnails that are alike are looked at again by their details: images with a few objects in like places
    have thumbnails that are alike.

    Returns:
        The pairs of positions of copies, lower position first, and whether both have the same orientation.
    """
    pairs = _alike(fingerprints["thumbnail"])
    copies: dict[tuple[int, int], bool] = {}
    for part in _blocks(len(pairs), FEW):
        first, second = (fingerprints["details"][places] for places in np.transpose(pairs[part]))
        correlations = _turned_correlations(first, second)
        for place in np.flatnonzero(correlations.max(axis=0) >= SAME):
            copies[pairs[part][place]] = bool(correlations[0, place] >= SAME)
    return copies


def _turned_correlations(
    details: Int8[np.ndarray, "n side side"], others: Int8[np.ndarray, "n side side"]
) -> Float32[np.ndarray, "8 n"]:
    """Correlate each two details in eight orientations, as they are first; empty ones with nothing."""
    first, second = details.astype(np.float32), others.astype(np.float32)
    norms = np.linalg.norm(first, axis=(1, 2)) * np.linalg.norm(second, axis=(1, 2))
    turned = (np.rot90(each, turns, (1, 2)) for each in (second, second[:, ::-1]) for turns in range(4))
    products = [np.einsum("nij,nij->n", first, each) for each in turned]
    return np.asarray(products / np.maximum(norms, 1), np.float32)


def _alike(thumbnails: Float32[np.ndarray, "n 24 24"]) -> list[tuple[int, int]]:
    """Find the pairs of thumbnails that are alike in any of eight orientations, lower position first.

    Most pairs are told apart by thumbnails of half the size: what these leave out of two thumbnails can add no more to
    their product than the product of its norms (Cauchy and Schwarz).
    """
    pairs = []
    with _single_threaded_products():
        for those in _blocks(len(thumbnails), WIDE):
            find = partial(_alike_between, others=thumbnails[those], bounds=_bounds(thumbnails[those]))
            blocks = _blocks(min(those.stop, len(thumbnails)), NARROW)
            found = in_parallel(find, [thumbnails[these] for these in blocks])
            for these, places in zip(blocks, found, strict=True):
                shifted = np.add(places, (these.start, those.start)).tolist()
                pairs += [(first, second) for first, second in shifted if first < second]
    return pairs


def _alike_between(
    thumbnails: Float32[np.ndarray, "n 24 24"],
    others: Float32[np.ndarray, "m 24 24"],
    bounds: Sequence[Float32[np.ndarray, "4 m 37"]],
) -> Int[np.ndarray, "found 2"]:
    """Find the places of those that are alike; `bounds` are those of `others`."""
    coarse, _ = _bounds(thumbnails)
    parts = ([each[:, part] for each in bounds] for part in _blocks(len(others), NARROW))
    possible = np.hstack([_most_alike(coarse, each) >= ALIKE - ROUNDED for each in parts])
    rows, columns = (np.flatnonzero(possible.any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        return np.empty((0, 2), np.int64)
    orientations = [_parts(each) for each in _upright_and_transposed(others[columns])]
    found = np.argwhere(_most_alike(_parts(thumbnails[rows]), orientations) >= ALIKE)
    return np.stack([rows[found[:, 0]], columns[found[:, 1]]], axis=1)


def _upright_and_transposed(
    thumbnails: Float32[np.ndarray, "n side side"],
) -> tuple[Float32[np.ndarray, "n side side"], Float32[np.ndarray, "n side side"]]:
    return thumbnails, thumbnails.swapaxes(1, 2)


def _most_alike(
    parts: Float32[np.ndarray, "4 n values"], orientations: Sequence[Float32[np.ndarray, "4 m values"]]
) -> Float32[np.ndarray, "n m"]:
    """Multiply each with each other one in the best of eight orientations; a flip changes the signs of parts."""
    best = []
    for others in orientations:
        even, across, along, odd = parts @ others.swapaxes(1, 2)
        same, flat = even + odd, np.add(across, along)
        across -= along  # in place: half of the time would go into new memory
        even -= odd
        even += np.abs(across, out=across)
        same += np.abs(flat, out=flat)
        best.append(np.maximum(even, same, out=even))
    return np.asarray(np.maximum(*best))


def _bounds(thumbnails: Float32[np.ndarray, "n 24 24"]) -> list[Float32[np.ndarray, "4 n 37"]]:
    """Give parts, upright and transposed, whose products are no less than those of the thumbnails.

    They are of thumbnails of half the size, and with the even part the norm of what these leave out.
    """
    thumbnails = np.array(thumbnails)  # once, where they are memory-mapped
    small = (thumbnails[:, ::2] + thumbnails[:, 1::2]) / 2
    small = small[..., ::2] + small[..., 1::2]
    left = np.einsum("nij,nij->n", thumbnails, thumbnails) - np.einsum("nij,nij->n", small, small)
    bounds = [np.pad(_parts(each), ((0, 0), (0, 0), (0, 1))) for each in _upright_and_transposed(small)]
    for parts in bounds:
        parts[0, :, -1] = np.sqrt(np.maximum(left, 0))
    return bounds


def _parts(thumbnails: Float32[np.ndarray, "n side side"]) -> Float32[np.ndarray, "4 n values"]:
    """Split each into what is even or odd about its middle row, and that about its middle column; the odd parts last.

    The products of two thumbnails' parts add up to the product of the thumbnails.
    """
    parts = [thumbnails]
    for axis in (1, 2):
        halves = [(first, np.flip(second, axis)) for first, second in (np.split(part, 2, axis) for part in parts)]
        parts = [(first + sign * second) / 2**0.5 for first, second in halves for sign in (1, -1)]
    return np.stack(parts).reshape(4, len(thumbnails), -1)
