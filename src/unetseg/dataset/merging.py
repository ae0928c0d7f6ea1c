"""Merge the mask files of an image into one label image."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from unetseg.annotations.masks import Labels, check_count, read_labels, read_mask
from unetseg.dataset.problems import attempt
from unetseg.errors import InputError
from unetseg.images.opening import Stored


def merge_masks(paths: Sequence[Path], image: Stored | None) -> tuple[Labels, list[str]]:
    """Merge the mask files of an image into one label image.

    Several files are one object each, numbered from 1 in their order; where two overlap, the first keeps the pixel. A
    single file holds any number of objects: the parts of a mask, or those of a label image; see
    `unetseg.annotations.masks`.

    Args:
        paths: one file or more, in one folder.
        image: what they are the masks of; without it they are only looked through for problems.

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
        free = mask.inside & (labels[mask.box] == 0)
        labels[mask.box][free] = number
        covered = int(np.count_nonzero(mask.inside) - np.count_nonzero(free))
        overlaps += [covered] if covered else []
        warnings += [] if mask.inside.size else [f"{path}: all zero, holds no object"]
    if problems:
        raise InputError(*problems)
    if overlaps:
        count = f"{len(overlaps)} overlap others, on {sum(overlaps)} pixels in all"
        warnings.append(f"{folder}: of {len(paths)} masks, {count}; the first by name keeps them")
    return labels, warnings
