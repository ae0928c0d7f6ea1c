"""Choose one image of a file: a time, a depth or a projection over depth, a channel."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Literal

import numpy as np
from jaxtyping import Shaped

from unetseg.errors import InputError

Channel = int | str  # a number from 0, a name from the file's metadata, or "all": grey or RGB as it is
Project = Literal["none", "max", "mean"]  # how depth becomes one image; "none": each depth is one of its own
Values = Shaped[np.ndarray, "rows width channels"]  # as stored
Rows = Callable[[int, int], Values]  # gives the rows of an image from a first one to one before the last

MAX_PLANES = 100_000  # per file; a file may claim any number, and they are listed
NAME_IT = "name one with --channel, or in the pipeline with data.channel in params.yaml"
PROJECT_IT = ", or project the image's depth (data.project, --project)"
NAMED = 20  # channels listed in an error message


@dataclass(frozen=True)
class Metadata:
    """What a file tells of its images, or of one scene or series of them.

    Attributes:
        names: of the channels, as far as the file has them.
        pixel: height and width of a pixel in µm, where the file has them.
    """

    names: Sequence[str]
    pixel: tuple[float, float] | None


@dataclass(frozen=True)
class Stack:
    """The contents of an open image file of any format.

    Attributes:
        height: in pixels.
        width: in pixels.
        times: images that follow each other: over time, positions or series.
        depths: images over depth, and pages whose meaning the file does not tell.
        channels: colours and stains of each; three are RGB if `colour`.
        colour: whether the channels are red, green and blue.
        metadata: one for all images, or one for each scene or series, which have equally many times.
        dtype: of the values as stored.
        read: gives rows from a first one to one before the last, of a time, a depth and some channels, as stored.
        alpha: whether the file has alpha besides; it is one value everywhere, or reading fails.
        orientation: as Exif has it, 1 to 8; the pixels are taken as stored.
        white_is_zero: whether the file stores white as 0; `read` gives it the other way round.
        unclear: whether it is unknown which channels the planes show, as the metadata state more than there are.
    """

    height: int
    width: int
    times: int
    depths: int
    channels: int
    colour: bool
    metadata: Sequence[Metadata]
    dtype: np.dtype[np.generic]
    read: Callable[[int, int, Sequence[int], int, int], Values]
    alpha: bool = False
    orientation: int = 1
    white_is_zero: bool = False
    unclear: bool = False


def count_planes(stack: Stack, project: Project = "none") -> int:
    """Count the images in a file; each is predicted separately.

    Raises:
        InputError: if there are more than `MAX_PLANES`.
    """
    count = stack.times * (stack.depths if project == "none" else 1)
    if count > MAX_PLANES:
        raise InputError(f"claims to hold {count:,} planes; at most {MAX_PLANES:,} per file are supported")
    return count


def find_metadata(stack: Stack, plane: int | None, project: Project) -> Metadata:
    """Find what the file tells of one image; see `choose`."""
    time = (plane or 0) // (stack.depths if project == "none" else 1)
    return stack.metadata[time * len(stack.metadata) // stack.times]


def choose(stack: Stack, plane: int | None, channel: Channel, project: Project) -> Rows:
    """Return a reader of the rows of one image; `plane` counts from 0, and None is the only one.

    Raises:
        InputError: if the file has no such image or channel, or several and none is chosen: nothing is dropped in
            silence.
    """
    count = count_planes(stack, project)
    if stack.unclear and (channel != "all" or project != "none"):
        rule = "which channel and depth each shows is unknown; save it anew, or set channel to all and project to none"
        planes = f"{stack.depths} plane{'s' * (stack.depths != 1)}"
        raise InputError(f"holds {planes}, other than its metadata say, so that {rule}")
    if plane is None and count > 1:
        remedy = PROJECT_IT if project == "none" and stack.depths > 1 else ""
        raise InputError(f"holds {count} images; save the one you need as a separate file{remedy}")
    if not 0 <= (plane or 0) < count:
        raise InputError(f"has no plane {plane}; it holds {count}, counted from 0")
    channels = _channels(stack, find_metadata(stack, plane, project).names, channel)
    if project == "none" or stack.depths == 1:
        time, depth = divmod(plane or 0, stack.depths)
        return lambda start, stop: stack.read(time, depth, channels, start, stop)
    return lambda start, stop: _project(
        project, (stack.read(plane or 0, depth, channels, start, stop) for depth in range(stack.depths))
    )


def _channels(stack: Stack, names: Sequence[str], channel: Channel) -> Sequence[int]:
    """Find the numbers of the requested channels."""
    listed = _listed(stack.channels, names)
    if channel == "all":
        if stack.channels == 1 or stack.colour:
            return range(stack.channels)
        raise InputError(f"has {listed}, which are neither grey nor RGB with or without alpha; {NAME_IT}")
    counted = isinstance(channel, int) and 0 <= channel < stack.channels
    named = _number(names, str(channel))  # a name may be a number: 405, 488
    if counted and named not in (None, channel):
        both = f"number {channel}, counted from 0, or the one named {channel}, number {named}"
        rule = f"rename them, or in params.yaml or Python give the name in quotes: '{channel}'"
        raise InputError(f"has {listed}, of which channel {channel} may be {both}; {rule}")
    number = channel if counted else named
    if not isinstance(number, int) or number >= stack.channels:
        raise InputError(f"has no channel {channel!r}; it has {listed}, counted from 0")
    return [number]


def _number(names: Sequence[str], name: str) -> int | None:
    """Find a channel by its name, ignoring case if that is unambiguous."""
    folded = [each.casefold() for each in names]
    for found, wanted in ((list(names), name), (folded, name.casefold())):
        if found.count(wanted) == 1:
            return found.index(wanted)
    return None


def _listed(channels: int, names: Sequence[str]) -> str:
    told = ", ".join(names[:NAMED]) + ("…" if len(names) > NAMED else "")
    return f"{channels} channel{'s' * (channels != 1)}" + (f" ({told})" if any(names) else "")


def _project(project: Project, depths: Iterator[Values]) -> Values:
    """Project over depth with one plane in memory at a time; a mean keeps the type of the values."""
    first = next(depths)
    if project == "max":
        return reduce(np.maximum, depths, first)
    total, count = first.astype(np.float64), 1
    for values in depths:
        total += values
        count += 1
    total /= count
    return (np.rint(total) if first.dtype.kind in "iu" else total).astype(first.dtype)
