"""Objects as cut-out masks: the form in which every reader of annotations hands over what a file holds."""

import contextlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, NoReturn

import cv2
import numpy as np
from jaxtyping import Bool, Float, Integer

from unetseg.errors import InputError, first_line


class Region(NamedTuple):
    """An object's pixels in its bounding box; objects may overlap each other.

    Attributes:
        row: of the image, where `mask` starts.
        column: of the image, where `mask` starts.
        mask: which pixels of the box are the object's.
    """

    row: int
    column: int
    mask: Bool[np.ndarray, "rows columns"]

    @property
    def box(self) -> tuple[slice, slice]:
        """The rows and columns of the image that `mask` covers."""
        rows, columns = self.mask.shape
        return slice(self.row, self.row + rows), slice(self.column, self.column + columns)


class Annotations(NamedTuple):
    """What a file says of one image.

    Attributes:
        regions: the objects.
        left_out: how much else the file holds, by what it is.
        classes: how many of the objects are of each class, if the form has classes.
    """

    regions: list[Region]
    left_out: Counter[str]
    classes: Counter[str]


IGNORED = "objects of classes to ignore"
OUTSIDE = "outlines wholly outside the image"
CROWDS = "crowds of instances"
SINGLE = "crowds of one connected part"
EMPTY = "images that a list of instances names without any"
GROUPED = "shapes that share a group_id and a label"
PLANES = ("slices", "channels", "frames")
REGIONS = "annotations that cover half of their image or more, or lie beside detections"
TOLD = {
    REGIONS: "taken as objects; if they are regions in which somebody looked, give them the class Ignore*",
    CROWDS: "left out, so that their pixels are background",
    SINGLE: "taken as objects, as CVAT means them",
    EMPTY: "taken as images without objects; leave them out if nobody has annotated them yet",
    GROUPED: "taken as parts of one object, as LabelMe means them",
    OUTSIDE: "left out; they may belong to another size of the image",
    **dict.fromkeys(PLANES, "have outlines of their own, which were taken as those of one image"),
}  # what a count of these means, which is a warning

BEYOND = Region(0, 0, np.zeros((0, 0), bool))  # stands for an outline wholly outside its image

Reader = Callable[[int, int], Annotations]
"""Reads the objects of one image, given its height and width; picklable, because processes read in parallel."""


class Table(NamedTuple):
    """What a file says of many images.

    Attributes:
        readers: by each image's name, as it stands in the file, what reads its objects.
        problems: a line for what belongs to none of these images.
        left_out: how much is not used, by the reason.
    """

    readers: dict[str, Reader]
    problems: list[str]
    left_out: Counter[str]


def refuse(problem: str, _height: int, _width: int) -> NoReturn:
    """Stand in for the reader of an image whose objects cannot be told.

    Raises:
        InputError: always.
    """
    raise InputError(problem)


@contextlib.contextmanager
def refusing(problem: str) -> Iterator[None]:
    """Turn what a damaged file makes Python or a library raise, which may be of any class, into one line.

    Raises:
        InputError: with `problem` and the first line of the reason.
    """
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        kind = "" if type(error) is ValueError else f"{type(error).__name__}: "  # the text of others says too little
        raise InputError(f"{problem} ({kind}{first_line(error)})") from error


def check_stated(where: str, stated: tuple[Any, Any], height: int, width: int) -> None:
    """Refuse objects that were drawn on an image of another size, if their file states a height or width.

    Raises:
        InputError: beginning with `where`.
    """
    there = [known if side is None else side for side, known in zip(stated, (height, width), strict=True)]
    try:
        same = [float(side) for side in there] == [height, width]  # CSV has text, and some programs write 64.0
    except (TypeError, ValueError, OverflowError):
        same = False
    if not same:
        raise InputError(f"{where}: is {there[0]!s:.20}x{there[1]!s:.20} there, its file {height}x{width}")


def gather(
    found: Sequence[Region | None],
    lost: str,
    others: Mapping[str, int] | None = None,
    classes: Sequence[str | None] = (),
) -> Annotations:
    """Keep the objects that have pixels, and count what is left out.

    `lost` is what to call objects without a pixel, None in `found`, where `BEYOND` is one outside the image; `others`
    counts what else the file holds. `classes` are those of all in `found`, if the form has classes.
    """
    regions = [region for region in found if region and region.mask.size]
    kept = Counter(
        each or "no class" for each, region in zip(classes, found, strict=False) if region and region.mask.size
    )
    missing = {lost: sum(region is None for region in found)}
    missing[OUTSIDE] = len(found) - len(regions) - missing[lost]
    return Annotations(regions, +Counter({**(others or {}), **missing}), kept)


def count_planes(places: Iterable[Sequence[int | None]]) -> dict[str, int]:
    """Count the slices, channels and frames that outlines were drawn on, if they are several; None is any."""
    several = (set(each) - {None} for each in zip(*places, strict=True))
    return {kind: len(each) for kind, each in zip(PLANES, several, strict=False) if len(each) > 1}


def cut(labels: Integer[np.ndarray, "height width"]) -> Iterator[Region]:
    """Cut each object out of a label image, in the order of their numbers.

    Numbers without pixels are passed over, and should be few.
    """
    from scipy import ndimage  # noqa: PLC0415 - takes as long as all other imports

    for label, box in enumerate(ndimage.find_objects(labels), 1):
        if box is not None:
            yield Region(box[0].start, box[1].start, labels[box] == label)


def trim(mask: Bool[np.ndarray, "rows columns"], row: int = 0, column: int = 0) -> Region | None:
    """Cut a mask, whose first pixel is at a row and column of its image, down to its object; None if it is empty."""
    if not mask.any():
        return None
    left, top, width, height = cv2.boundingRect(np.ascontiguousarray(mask).view(np.uint8))
    return Region(row + top, column + left, mask[top : top + height, left : left + width])


def corners(points: Any, what: str) -> Float[np.ndarray, "_ 2"]:
    """Read the corners of an outline, in pixels: pairs of x and y, or x and y in turn; what follows them is dropped.

    Raises:
        ValueError: with `what` and the value, if they are anything else.
    """
    with contextlib.suppress(TypeError, ValueError, OverflowError):  # of text, rows of several lengths, huge numbers
        array = np.array(points, np.float64)
        array = array.reshape(-1, 2) if array.ndim == 1 and not array.size % 2 else array
        if array.ndim == 2 and array.shape[1] > 1:
            return array[:, :2]
    raise ValueError(f"{what} is {points!r:.40}, not x and y of each corner")


def fill(rings: Sequence[Float[np.ndarray, "_ 2"]], height: int, width: int) -> Region | None:
    """Rasterise outlines by the even-odd rule: a pixel is inside if its centre is.

    The outlines of `unetseg.annotations.outlines` give back exactly the mask that they were made of. A ring holds x and
    y of its corners, in pixels; pixel (row, column) reaches from (column, row) to (column + 1, row + 1). A ring inside
    another one is a hole.

    Returns:
        The object; `BEYOND` if the outlines lie wholly outside the image, or None if no pixel's centre is inside.
    """
    starts = np.concatenate(rings)
    ends = np.concatenate([np.roll(ring, -1, axis=0) for ring in rings])
    if not starts.size or not np.isfinite(starts).all():
        return None
    low, high = starts.min(axis=0), starts.max(axis=0)
    if (high <= 0).any() or (low >= (width, height)).any():
        return BEYOND
    left, top = (int(each) for each in np.clip(np.floor(low), 0, (width, height)))
    right, bottom = (int(each) for each in np.clip(np.ceil(high), 0, (width, height)))
    crossings = np.zeros((bottom - top, right - left + 1), np.uint8)
    first, last = (np.clip(np.ceil(y - 0.5), top, bottom).astype(np.int64) for y in (starts[:, 1], ends[:, 1]))
    for edge in np.flatnonzero(first != last):
        (x0, y0), (x1, y1) = starts[edge], ends[edge]
        rows = np.arange(min(first[edge], last[edge]), max(first[edge], last[edge]))
        x = x0 + (rows + 0.5 - y0) * ((x1 - x0) / (y1 - y0))
        crossings[rows - top, np.clip(np.ceil(x - 0.5), left, right).astype(np.int64) - left] ^= 1
    return trim(np.bitwise_xor.accumulate(crossings, axis=1)[:, :-1].astype(bool), top, left)


def union(regions: Iterable[Region | None]) -> Region | None:
    """Join the parts of one object; None if there is none, `BEYOND` if those that there are lie outside the image."""
    some = [part for part in regions if part is not None]
    parts = [part for part in some if part.mask.size] or some[:1]
    if len(parts) < 2:
        return parts[0] if parts else None
    row, column = min(part.row for part in parts), min(part.column for part in parts)
    bottom, right = (max(part[axis] + part.mask.shape[axis] for part in parts) for axis in (0, 1))
    mask = np.zeros((bottom - row, right - column), bool)
    for part in parts:
        mask[Region(part.row - row, part.column - column, part.mask).box] |= part.mask
    return Region(row, column, mask)


def surrounding(regions: Sequence[Region], chosen: Sequence[bool]) -> set[int]:
    """Find which of the chosen objects hold all pixels of another one, and more."""
    starts = np.array([(region.row, region.column) for region in regions]).reshape(-1, 2)
    ends = starts + np.array([region.mask.shape for region in regions]).reshape(-1, 2)
    areas = np.array([np.count_nonzero(region.mask) for region in regions])
    found = set()
    for number in np.flatnonzero(chosen).tolist():
        inside = (starts >= starts[number]).all(axis=1) & (ends <= ends[number]).all(axis=1) & (areas < areas[number])
        if any(_holds(regions[number], regions[other]) for other in np.flatnonzero(inside).tolist()):
            found.add(number)
    return found


def _holds(outer: Region, inner: Region) -> bool:
    place = Region(inner.row - outer.row, inner.column - outer.column, inner.mask)
    return bool(outer.mask[place.box][inner.mask].all())


def overlap(regions: Sequence[Region], height: int, width: int) -> bool:
    """Tell whether any two objects of an image share a pixel."""
    taken = np.zeros((height, width), bool)
    for region in regions:
        if (taken[region.box] & region.mask).any():
            return True
        taken[region.box] |= region.mask
    return False
