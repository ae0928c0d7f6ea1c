"""Find samples, and read one: its image, and its mask files merged into one label map."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import UInt8

from unetseg.annotations.masks import Labels, check_count, number_parts, read_labels, read_mask
from unetseg.dataset.layout import is_clutter_here
from unetseg.dataset.problems import attempt
from unetseg.errors import InputError
from unetseg.images.intensity import to_rgb
from unetseg.images.opening import Stored, read_stored
from unetseg.images.stacks import Channel, Project

COLOUR_SPREAD = 4.0  # a grey image saved as RGB has 0; the slight tint of a camera stays below
BRIGHT_MEDIAN = 128.0


@dataclass(frozen=True)
class Sample:
    """An image and the numbers of the objects in it, at their own size.

    Attributes:
        path: the image file; its folder's parent is the sample, and that one's name is the sample's id.
        stored: the image as its file holds it.
        image: RGB, 0 to 255.
        labels: 0 or the object's number; the number of an object that lies wholly under others is missing.
        warnings: a line for each oddity that does not make the sample unusable.
        parts: whether the objects are the parts of the one mask, which says no more of them.
    """

    path: Path
    stored: Stored
    image: UInt8[np.ndarray, "height width 3"]
    labels: Labels
    warnings: list[str]
    parts: bool


def find_samples(folder: Path) -> list[Path]:
    """List the sample folders, sorted by name.

    Raises:
        InputError: if there is none.
    """
    found = sorted(path for path in folder.iterdir() if path.is_dir())
    if not found:
        raise InputError(f"{folder}: contains no sample; a sample is a folder with images/ and masks/")
    return found


def list_files(folder: Path) -> list[Path]:
    """List what a sample's folder of images or masks holds, sorted; without clutter."""
    found = {path.name: path for path in folder.iterdir()} if folder.is_dir() else {}
    return [found[name] for name in sorted(found) if not is_clutter_here(name)]  # comparing paths takes long


def read_sample(folder: Path, channel: Channel = "all", project: Project = "none") -> Sample:
    """Read the image of a sample folder and merge its masks; see `merge_masks`.

    An image without objects has a mask file that is all zero; without any file, the masks may have been forgotten.
    For `channel` and `project` see `unetseg.images.stacks`.

    Raises:
        InputError: with a line for every problem of the sample, naming the file, the value and the rule.
    """
    found, problems = attempt(_read_stored, folder / "images", channel, project)
    merged, mask_problems = attempt(_read_masks, folder / "masks", found and found[1])
    if not found or not merged:
        raise InputError(*problems, *mask_problems)
    (path, stored), (labels, warnings, files) = found, merged
    image = to_rgb(stored.pixels)
    if np.array_equal(labels > 0, image[..., 0] > 0) and len(np.unique(image)) <= 2:
        warnings.append(f"{folder / 'masks'}: equal the image; is this the right image?")
    parts = files == 1 and np.array_equal(labels, number_parts(labels > 0, folder / "masks"))
    return Sample(path, stored, image, labels, warnings, parts)


def merge_masks(paths: Sequence[Path], image: Stored | None) -> tuple[Labels, list[str]]:
    """Merge the mask files of an image, all in one folder, into one label image.

    Several files are one object each, numbered from 1 in their order; where two overlap, the first keeps the pixel. A
    single file holds any number of objects: the parts of a mask, or those of a label image; see
    `unetseg.annotations.masks`. Without their image the files are only looked through for problems.

    Returns:
        0 or the object's number, and a line for each oddity that is no error.

    Raises:
        InputError: with a line for every problem, naming the file, the value and the rule.
    """
    if len(paths) == 1:
        labels = read_labels(paths[0], image)
        return labels, [] if labels.any() else [f"{paths[0]}: all zero, holds no object"]
    folder = paths[0].parent
    check_count(len(paths), folder)
    labels = np.zeros(image.pixels.shape[:2] if image else (0, 0), np.uint16)
    problems: list[str] = []
    warnings: list[str] = []
    overlaps: list[int] = []
    for number, path in enumerate(paths, 1):
        mask, lines = attempt(read_mask, path, image)
        problems += lines
        if mask is None or image is None:
            continue
        free = mask.mask & (labels[mask.box] == 0)
        labels[mask.box][free] = number
        covered = int(np.count_nonzero(mask.mask) - np.count_nonzero(free))
        overlaps += [covered] if covered else []
        warnings += [] if mask.mask.size else [f"{path}: all zero, holds no object"]
    if problems:
        raise InputError(*problems)
    if overlaps:
        count = f"{len(overlaps)} overlap others, on {sum(overlaps)} pixels in all"
        warnings.append(f"{folder}: of {len(paths)} masks, {count}; the first by name keeps them")
    return labels, warnings


def modality(image: UInt8[np.ndarray, "height width 3"]) -> str:
    """Tell the kind of an image from its pixels: `colour` (stained), `bright_grey` or `dark_grey` background."""
    red, green, blue = cv2.split(image)
    spread = cv2.subtract(cv2.max(cv2.max(red, green), blue), cv2.min(cv2.min(red, green), blue))
    if cv2.mean(spread)[0] > COLOUR_SPREAD:
        return "colour"
    return "bright_grey" if np.median(green) >= BRIGHT_MEDIAN else "dark_grey"


def count_objects(labels: Labels) -> int:
    """Count the numbers in a label image that have pixels, but for 0."""
    return int(np.count_nonzero(np.bincount(labels[labels > 0])))


def _read_stored(folder: Path, channel: Channel, project: Project) -> tuple[Path, Stored]:
    paths = list_files(folder)
    if not paths:
        raise InputError(f"{folder}: no image; a sample has exactly one")
    if len(paths) > 1:
        found = f"{len(paths)} files, such as {paths[0].name} and {paths[1].name}"
        raise InputError(f"{folder}: {found}; a sample has exactly one")
    return paths[0], read_stored(paths[0], channel=channel, project=project)


def _read_masks(folder: Path, stored: Stored | None) -> tuple[Labels, list[str], int]:
    paths = list_files(folder)
    if not paths:
        raise InputError(f"{folder}: no mask; for an image without objects, add one mask that is all zero")
    return *merge_masks(paths, stored), len(paths)
