"""Read mask files and label images.

One rule says what a file of values means, whatever its format:

- 0 and black are background.
- A palette stands for its indices, because it may repeat a colour; index 0 is background, or black if there are two.
- A **mask** has one colour or one value besides the background: 1, 255 (also with 254), 65535 or the largest of its
  type; so do boolean and 1-bit images. The only mask of an image may have any other value, and hold many objects: its
  4-connected parts.
- A **label image** has several whole numbers or colours: all pixels of one value are one object. Grey pictures, JPEGs,
  blurred edges, classes and a region marked as not annotated are not taken for one. 2 alone, in 16 bit, is one object,
  whatever its parts.
- Everything else is refused: fractions, negative numbers, transparency that varies, what has no background but is no
  mask, and TIFFs, and palettes of black and white, in which 0 is white.
"""

from collections import Counter
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Bool, Integer, Shaped, UInt16

from unetseg.annotations.label_images import marks_what_is_not_annotated, no_label_image
from unetseg.annotations.palettes import read_palette, told_by_palette
from unetseg.annotations.regions import Annotations, Region, cut
from unetseg.errors import InputError
from unetseg.images.boxed import decode_boxed
from unetseg.images.opening import Stored, naming, read_stored
from unetseg.images.rasters import MAX_PIXELS
from unetseg.images.stacks import NAME_IT, PROJECT_IT

MAX_OBJECTS = 65_535
COLOURS = np.uint64  # type of the numbers that stand for colours
JPEG = b"\xff\xd8\xff"
OBJECT_VALUES = (255, 1, 65535)
LONE = 2  # in 16 bit: one object, which may be in parts, as `import` writes it
RULE = "a mask holds 0 for background and 255 (or 1) for the object"
LABELS_RULE = f"{RULE}, a label image holds 0 for background and a whole number for each object"

Values = Integer[np.ndarray, "height width"]
Labels = UInt16[np.ndarray, "height width"]


def read_objects(path: Path, height: int, width: int) -> Annotations:
    """Read the only mask file or label image of an image as objects; errors are those of `read_labels`."""
    return Annotations(list(cut(read_labels(path, blank(height, width)))), Counter(), Counter())


def blank(height: int, width: int) -> Stored:
    """Stand for an image of which the size alone is known."""
    return Stored(np.broadcast_to(np.uint8(0), (height, width, 1)))


def is_label_image(labels: Values, objects: int) -> bool:
    """Tell whether `read_labels` will give back these objects, numbered without gaps from 1, or a single one as 2."""
    found = np.unique(labels[labels > 0])
    return not objects or (not _holds_parts(found, labels) and no_label_image(labels, objects) is None)


def read_mask(path: Path, image: Stored | None) -> Region:
    """Read the mask file of one object; its region is empty if all of the file is background.

    Raises:
        InputError: naming the file, if it cannot be decoded, has another size or orientation than the image, or is no
            mask by the rule above.
    """
    if mask := _read_plain(path, image):
        return mask
    values, itself = _read_values(path, image, RULE)
    there = values if values.dtype == np.uint8 else (values != 0).view(np.uint8)
    column, row, width, height = cv2.boundingRect(there)  # what follows need not look at the rest
    values = values[row : row + height, column : column + width]
    found = np.unique(values)
    if not _is_mask(found[found != 0], values.dtype):
        raise InputError(f"{path}: {'is the image itself' if itself else f'has {_listed(found)}'}; {RULE}")
    return Region(row, column, values > 0)


def read_labels(path: Path, image: Stored | None) -> Labels:
    """Read the only mask file of an image: the parts of a mask, or the objects of a label image.

    Returns:
        0 or the object's number, from 1 without gaps.

    Raises:
        InputError: naming the file, if it cannot be decoded, has another size or orientation than the image, holds more
            than `MAX_OBJECTS` objects, or is neither a mask nor a label image by the rule above.
    """
    if image and (mask := _read_plain(path, image)):
        whole = np.zeros(image.pixels.shape[:2], np.bool_)
        whole[mask.box] = mask.mask
        return number_parts(whole, path)
    values, itself = _read_values(path, image, LABELS_RULE)
    objects, parts = _dense(values)
    if _holds_parts(objects, values):
        return number_parts(values > 0, path)
    lossy = path.read_bytes().startswith(JPEG)
    problem = "which JPEG blurs, so save it as PNG" if lossy else no_label_image(parts, len(objects))
    if values.dtype != COLOURS:
        problem = problem or marks_what_is_not_annotated(parts, objects)
    if problem or itself:
        wrong = "is the image itself" if itself else f"has {_listed(objects)}, {problem}"
        raise InputError(f"{path}: {wrong}; {LABELS_RULE}")
    check_count(len(objects), path)
    return np.asarray(parts, np.uint16)


def check_count(objects: int, where: Path) -> None:
    """Refuse more objects of an image than numbers can tell apart.

    Raises:
        InputError: naming the file or folder.
    """
    if objects > MAX_OBJECTS:
        raise InputError(f"{where}: holds {objects:,} objects; at most {MAX_OBJECTS:,} per image are supported")


def number_parts(mask: Bool[np.ndarray, "height width"], where: Path) -> Labels:
    """Number the 4-connected parts of a mask, from the top, without gaps.

    Raises:
        InputError: naming the file or folder, if there are more than `MAX_OBJECTS`.
    """
    count, parts = cv2.connectedComponents(mask.view(np.uint8), connectivity=4)  # as predictions are numbered
    check_count(count - 1, where)
    return parts.astype(np.uint16)


def _dense(values: Values) -> tuple[Integer[np.ndarray, " found"], Integer[np.ndarray, "height width"]]:
    """List the values besides 0, and number them from 1 without gaps."""
    if values.dtype.itemsize > 2:
        found, places = np.unique(values, return_inverse=True)
        return found[found != 0], places.reshape(values.shape) + int(found[0] != 0)
    there = np.bincount(values.ravel()) > 0  # sorting takes ten times as long
    there[0] = False
    return np.flatnonzero(there), (np.cumsum(there) * there)[values]


def _read_plain(path: Path, image: Stored | None) -> Region | None:
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
    return Region(found.box[0].start, found.box[1].start, inside) if plain or not found.values.size else None


def _read_values(path: Path, image: Stored | None, rule: str) -> tuple[Values, bool]:
    """Read the values of a file, 0 for background, and tell whether it is the image that it should be a mask of."""
    try:
        stored = read_stored(path)
    except InputError as error:  # of images alone a channel is chosen, and depth projected
        lines = (
            line.replace(PROJECT_IT, "").replace(NAME_IT, "save the one with the objects alone") for line in error.args
        )
        raise InputError(*lines) from error
    with naming(path):
        if problem := image and _mismatch(stored, image):
            raise InputError(problem)
        if stored.white_is_zero:
            raise InputError("is a TIFF in which 0 is white, which programs read in two ways; save 0 as black")
        values = _one_channel(_whole_numbers(stored.pixels, rule))
        if stored.channels == len("RGB") and (indices := read_palette(path, values.shape)) is not None:
            values = told_by_palette(indices, stored.pixels)
    if values.dtype == bool:
        values = values.astype(np.uint8)
    itself = image is not None and np.array_equal(stored.pixels, image.pixels)
    return values, itself


def _whole_numbers(
    pixels: Shaped[np.ndarray, "height width channels"], rule: str
) -> Shaped[np.ndarray, "height width channels"]:
    """Give floats as whole numbers; refuse fractions and negative numbers of any type."""
    if pixels.dtype.kind not in "fi":
        return pixels
    if pixels.min() < 0 or float(pixels.max()) >= 2**63 or not np.array_equal(pixels, np.floor(pixels)):
        raise InputError(f"has {_listed(np.unique(pixels))}; {rule}")
    return pixels if pixels.dtype.kind == "i" else pixels.astype(np.int64)


def _one_channel(pixels: Shaped[np.ndarray, "height width channels"]) -> Shaped[np.ndarray, "height width"]:
    """Reduce colours to one number each: grey ones to their value, others to a number for each colour, 0 for black."""
    first = pixels[..., 0]
    if all(np.array_equal(first, pixels[..., other]) for other in range(1, pixels.shape[2])):
        return first
    if pixels.itemsize > 2:  # three of them would not fit 64 bit
        colours, places = np.unique(pixels.reshape(-1, pixels.shape[2]), axis=0, return_inverse=True)
        packed = (places.reshape(first.shape) + int(colours[0].any())).astype(COLOURS)
    else:
        bits = 8 * pixels.itemsize
        parts = (pixels[..., channel].astype(COLOURS) << bits * channel for channel in range(pixels.shape[2]))
        packed = np.asarray(sum(parts))
    return packed if np.count_nonzero(np.unique(packed)) > 1 else (packed > 0).astype(np.uint8)


def _is_mask(objects: Shaped[np.ndarray, " found"], dtype: np.dtype) -> bool:
    """Tell a mask by the values that are not background."""
    found = set(objects.tolist())
    largest = {int(np.iinfo(dtype).max)} if dtype.kind in "ui" else set()
    return found <= {254, 255} or (len(found) == 1 and found <= {1, 65535, *largest})


def _holds_parts(objects: Shaped[np.ndarray, " found"], values: Values) -> bool:
    """Tell whether the parts of an image's only file are its objects, by the values that are not background."""
    if _is_mask(objects, values.dtype):
        return True
    return len(objects) == 1 and not (values.dtype == np.uint16 and objects[0] == LONE) and not values.all()


def _mismatch(mask: Stored, image: Stored) -> str | None:
    size, wanted = mask.pixels.shape, image.pixels.shape
    if size[:2] != wanted[:2]:
        return f"is {size[0]}x{size[1]} pixels, its image {wanted[0]}x{wanted[1]}; they must be of one size"
    if (turned := mask.orientation) != image.orientation:
        return f"has orientation {turned}, its image {image.orientation}; save both upright, so that both mean the same"
    return None


def _listed(found: Shaped[np.ndarray, " found"]) -> str:
    more = f" … ({len(found)} in all)" if len(found) > 5 else ""
    return "the values " + ", ".join(f"{value:g}" for value in found[:5].tolist()) + more
