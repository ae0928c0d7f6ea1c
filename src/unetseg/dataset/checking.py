"""Look through a data set before it is trained on: what cannot be used, and what would spoil the result."""

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from unetseg.config import DataSettings, ImageSettings
from unetseg.dataset.arrays import prepare
from unetseg.dataset.problems import Findings, attempt_each
from unetseg.dataset.samples import find_samples
from unetseg.images.appearance import appearance

INVERTED = 0.9  # share of images with more foreground than background from which masks look inverted
NEAR = 0.1  # share by which image.pixel_size may differ from what files state
SPREAD = 4.0  # between the 10th and 90th percentile of object diameters: one magnification stays below


@dataclass(frozen=True)
class Checked:
    """What was found.

    Attributes:
        findings: problems and warnings of single samples.
        rows: of each usable sample, what samples.csv says of it, and `survivors`: objects left at the model's size.
        fingerprints: the fingerprint of each.
        appearances: what `unetseg.images.appearance` says of each.
    """

    findings: Findings
    rows: list[dict[str, Any]]
    fingerprints: list[np.ndarray]
    appearances: list[np.ndarray]

    def warnings(self) -> Iterator[str]:
        """Tell what would spoil the result though nothing stops."""
        inverted = sum(row["foreground"] > 0.5 for row in self.rows)
        if self.rows and inverted >= INVERTED * len(self.rows):
            yield f"{inverted} of {len(self.rows)} masks are foreground for the most part: are they inverted?"
        small = [row for row in self.rows if row["survivors"] < row["objects"]]
        if small:
            total = sum(row["objects"] for row in self.rows)
            lost = total - sum(row["survivors"] for row in self.rows)
            where = f"in {len(small)} images such as {small[0]['id']}"
            yield f"{lost} of {total} objects vanish at image.size, {where}: raise it, or set image.mode to tiles"
        if sized := sorted((diameter(row), row["id"]) for row in self.rows if row["objects"]):
            (low, first), (high, second) = (sized[round(share * (len(sized) - 1))] for share in (0.1, 0.9))
            if high > SPREAD * low:
                sizes = f"{low:.0f} pixels across in {first} and {high:.0f} in {second}"
                yield f"objects are {sizes}: mixed magnifications?"
        kinds = defaultdict(list)
        for row in self.rows:
            kinds[row["modality"]].append(row["id"])
        for kind, ids in sorted(kinds.items()):
            if len(ids) == 1 and len(kinds) > 1:
                yield f"{ids[0]}: is the only image of the kind {kind}: it cannot be both trained on and tested"

    def table(self) -> Iterator[str]:
        """Count images, objects and foreground by kind and size."""
        groups = defaultdict(list)
        for row in self.rows:
            groups[row["modality"], row["height"], row["width"]].append(row)
        yield f"{'kind':12} {'size':>11} {'images':>7} {'objects an image':>17} {'foreground':>11}"
        for (kind, height, width), rows in sorted(groups.items()):
            objects = sorted(row["objects"] for row in rows)
            spread = f"{objects[0]} to {objects[-1]}" if objects[0] < objects[-1] else f"{objects[0]}"
            foreground = np.mean([row["foreground"] for row in rows])
            yield f"{kind:12} {f'{height}x{width}':>11} {len(rows):7} {spread:>17} {foreground:11.1%}"


def unlike_pixel_size(rows: Iterable[Mapping[str, Any]], pixel_size: float, size: int, mode: str) -> Iterator[str]:
    """Tell an `image.pixel_size` that is not that of the model's input, by the files of samples.csv that state theirs.

    It is taken for what the camera's pixels measure, though resizing to `image.size` changes that.
    """
    stated = [row for row in rows if row["pixel_size"]]
    sides = [math.sqrt(int(row["height"]) * int(row["width"])) if mode == "resize" else size for row in stated]
    seen = [float(row["pixel_size"]) * side / size for row, side in zip(stated, sides, strict=True)]
    unlike = sum(abs(each / pixel_size - 1) > NEAR for each in seen) if pixel_size else 0
    if not unlike:
        return
    least, median, greatest = min(seen), float(np.median(seen)), max(seen)
    if greatest > (1 + NEAR) * least:
        first, last = (stated[seen.index(each)]["id"] for each in (least, greatest))
        told = f"in {unlike} of {len(seen)} files the pixels of the model's input are of another size"
        spread = f"from {least:.3g} µm (such as {first}) to {greatest:.3g} (such as {last})"
        one = "one pixel size and one height and width" if mode == "resize" else "one pixel size"
        yield f"image.pixel_size: {pixel_size:g}: {told}, {spread}; give 0, or bring the images to {one}"
    elif abs(median / pixel_size - 1) > NEAR:
        told = f"by {len(seen)} files the pixels of the model's input are {median:.3g} µm, in the median"
        yield f"image.pixel_size: {pixel_size:g}: {told}; give that, or 0 if the files are wrong"


def diameter(row: dict[str, Any]) -> float:
    """Give the diameter of a disc as large as an image's mean object, in pixels."""
    area = row["foreground"] * row["height"] * row["width"] / row["objects"]
    return float(2 * np.sqrt(area / np.pi))


def check_samples(folder: Path, data: DataSettings, image: ImageSettings) -> Checked:
    """Read every sample below a folder as `preprocess` does, and gather what is found.

    Raises:
        InputError: if there is no sample.
    """
    folders, checked = find_samples(folder), Checked(Findings(), [], [], [])
    read = partial(_check, size=image.size, tiles=image.mode == "tiles", channel=data.channel, project=data.project)
    for path, found, problems in attempt_each(read, folders, "check"):
        if found is None:
            checked.findings.add_unusable(path.name, problems)
            continue
        row, fingerprint, appears, warnings = found
        checked.findings.add_usable(warnings, row["foreground"] > 0)
        checked.rows.append(row)
        checked.fingerprints.append(fingerprint)
        checked.appearances.append(appears)
    return checked


def _check(folder: Path, *, tiles: bool, **how: Any) -> tuple[dict[str, Any], np.ndarray, np.ndarray, list[str]]:
    """Give what is small of a prepared sample; its arrays stay in the process that read it."""
    sample = prepare(folder, tiles=False, **how)
    row = sample.row | {"survivors": sample.row["objects"] if tiles else sample.survivors}
    return row, sample.fingerprint, appearance(sample.image), sample.warnings
