"""Read mask files as 0 and 1, and merge those of an image into one label map."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import Bool, Shaped, UInt16

from unetseg.dataset.problems import attempt
from unetseg.errors import InputError
from unetseg.images.boxed import decode_boxed
from unetseg.images.opening import Stored, read_stored
from unetseg.images.rasters import MAX_PIXELS

MAX_OBJECTS = 65_535
OBJECT_VALUES = (255, 1, 65535)
RULE = "a mask holds 0 for background and 255 (or 1) for the object"

Labels = UInt16[np.ndarray, "height width"]


def merge_masks(paths: Sequence[Path], image: Stored | None) -> tuple[Labels, list[str]]:
    """Merge the mask files of an image into one label map.

    Several files are an object each, numbered from 1 in their order; where two overlap, the first keeps the pixel. A
    single file holds any number of objects: its parts, connected by edges as those of a prediction are (4-connected).

    Args:
        paths: one file or more, in one folder.
        image: what they are the masks of; without it they are only looked through for problems.

    Returns:
        0 or the object's number, and a line for each oddity that is no error.

    Raises:
        InputError: with a line for every problem, naming the file, the value and the rule.
    """
    folder = paths[0].parent
    _check_count(len(paths), folder)
    labels = np.zeros(image.pixels.shape[:2] if image else (0, 0), np.uint16)
    problems: list[str] = []
    warnings: list[str] = []
    overlaps: list[int] = []
    for number, path in enumerate(paths, 1):
        mask, lines = attempt(read_mask, path, image)
        problems += lines
        if mask is None or image is None:
            continue
        free = mask.inside & (labels[mask.box] == 0)
        labels[mask.box][free] = number
        covered = int(np.count_nonzero(mask.inside) - np.count_nonzero(free))
        overlaps += [covered] if covered else []
        warnings += [] if mask.inside.size else [f"{path}: all zero, contains no object"]
    if problems:
        raise InputError("\n".join(problems))
    if image is not None and len(paths) == 1:
        labels = _number_parts(labels, paths[0])
    if overlaps:
        count = f"{len(overlaps)} overlap others, on {sum(overlaps)} pixels in all"
        warnings.append(f"{folder}: of {len(paths)} masks, {count}; the first by name keeps them")
    return labels, warnings


class Mask(NamedTuple):
    """The pixels of a mask file that are not background.

    Attributes:
        box: the rows and columns around them.
        inside: which pixels of the box they are.
    """

    box: tuple[slice, slice]
    inside: Bool[np.ndarray, "rows columns"]


def read_mask(path: Path, image: Stored | None) -> Mask:
    """Read a mask file.

    The object may be written as 1, 255 or 65535. In a mask with a palette of colours, black is the background and any
    other colour the object, as annotation tools write it.

    Raises:
        InputError: naming the file, if it cannot be decoded, has another size or orientation than the image, or holds
            grey values or colours.
    """
    if mask := _read_plain(path, image):
        return mask
    stored = read_stored(path)
    values = _one_channel(stored)
    if stored.white_is_zero:
        raise InputError(
            f"{path}: is a TIFF in which 0 is white, which programs interpret differently; save 0 as background"
        )
    box = _box(values)
    if problem := (image and _mismatch(stored, image)) or _odd_values(values[box]):
        same = image is not None and np.array_equal(stored.pixels, image.pixels)
        raise InputError(f"{path}: {f'is the image itself; {RULE}' if same else problem}")
    return Mask(box, values[box] > 0)


def _read_plain(path: Path, image: Stored | None) -> Mask | None:
    """Read a mask as nearly all are, and twice as fast; `None` for any other and for one that is wrong."""
    try:
        found = decode_boxed(path.read_bytes(), image.pixels[..., 0].size if image else MAX_PIXELS)
    except OSError:
        return None
    if found is None or (image and (image.orientation != 1 or image.pixels.shape[:2] != found[:2])):
        return None
    value = found.values.max(initial=0)
    inside = found.values == value
    plain = value in OBJECT_VALUES and np.count_nonzero(inside) == np.count_nonzero(found.values)
    return Mask(found.box, inside) if plain or not found.values.size else None


def _one_channel(mask: Stored) -> Shaped[np.ndarray, "height width *colours"]:
    """Reduce a mask to one channel where its colours mean no more than that."""
    first = mask.pixels[..., 0]
    if all(np.array_equal(first, mask.pixels[..., other]) for other in range(1, mask.pixels.shape[2])):
        return first
    return np.any(mask.pixels, axis=2) if mask.palette else mask.pixels


def _mismatch(mask: Stored, image: Stored) -> str | None:
    (height, width), (image_height, image_width) = mask.pixels.shape[:2], image.pixels.shape[:2]
    if (height, width) != (image_height, image_width):
        return f"is {height}x{width} pixels, its image {image_height}x{image_width}; they must be of one size"
    turns = mask.orientation, image.orientation
    if turns[0] != turns[1]:
        return f"has orientation {turns[0]}, its image {turns[1]}; save both upright, so that both mean the same"
    return None


def _box(values: Shaped[np.ndarray, "height width *colours"]) -> tuple[slice, slice]:
    """Find the rows and columns that hold all that is not zero: what follows need not look at the rest."""
    nonzero = values if values.dtype == np.uint8 and values.ndim == 2 else (values != 0).astype(np.uint8)
    column, row, width, height = cv2.boundingRect(nonzero if nonzero.ndim == 2 else nonzero.max(axis=2))
    return slice(row, row + height), slice(column, column + width)


def _odd_values(values: Shaped[np.ndarray, "rows columns *colours"]) -> str | None:
    if values.ndim == 3:
        return f"has colours; {RULE}"
    found = np.unique(values)
    if any(set(found.tolist()) <= {0, value} for value in OBJECT_VALUES):
        return None
    listed = ", ".join(f"{value:g}" for value in found[:5]) + (f" … ({len(found)} in all)" if len(found) > 5 else "")
    return f"has the values {listed}; {RULE}"


def _number_parts(labels: Labels, path: Path) -> Labels:
    count, parts = cv2.connectedComponents(labels.astype(np.uint8), connectivity=4)
    _check_count(count - 1, path)
    return parts.astype(np.uint16)


def _check_count(objects: int, where: Path) -> None:
    if objects > MAX_OBJECTS:
        raise InputError(f"{where}: holds {objects:,} objects; at most {MAX_OBJECTS:,} per image are supported")
