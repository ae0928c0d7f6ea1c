"""Turn images and objects of any form into the pipeline's archive, one image at a time."""

import csv
import io
import time
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import Shaped

from unetseg.annotations.masks import check_count, is_label_image
from unetseg.annotations.regions import Region, overlap
from unetseg.dataset.forms import find_items
from unetseg.dataset.items import Found, Item, nfc
from unetseg.dataset.layout import id_faults
from unetseg.dataset.members import name_faults
from unetseg.dataset.problems import attempt_each
from unetseg.dataset.samples import read_sample
from unetseg.dataset.unpacking import source_name, unpacked
from unetseg.errors import InputError
from unetseg.files import atomic_path, read_csv
from unetseg.images.intensity import to_rgb
from unetseg.images.names import SUFFIXES
from unetseg.images.opening import read_stored
from unetseg.images.stacks import Channel, Project

LONG_AGO = (1980, 1, 1, 0, 0, 0)  # the same images give the same archive

Table = dict[str, dict[str, str]]  # rows by their ids


@dataclass
class Summary:
    """What was imported.

    Attributes:
        forms: for each source what was understood.
        images: how many there are in the archive.
        objects: how many they have in all.
        left_out: how much was not used, by the reason.
        problems: a line for each input that cannot be used.
        seconds: that it took.
    """

    forms: dict[str, str] = field(default_factory=dict)
    images: int = 0
    objects: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    seconds: float = 0.0


class _Sample(NamedTuple):
    """The files of a sample in the archive, and how many objects it has."""

    files: list[tuple[str, bytes]]
    objects: int
    left_out: Counter[str]


def import_archive(
    sources: Sequence[Path],
    out: Path,
    *,
    form: str | None = None,
    only_changed: bool = False,
    channel: Channel = "all",
    project: Project = "none",
    strict: bool = False,
) -> Summary:
    """Write the archive; what cannot be used is told and does not keep the rest from being imported.

    Args:
        sources: folders, zips, tars, or files that describe many images.
        out: the zip to write.
        form: see `find_items`.
        only_changed: see `find_items`.
        channel: what of each image to take; see `unetseg.images.stacks`.
        project: how its depth becomes one image.
        strict: whether to write nothing if anything cannot be used.

    Raises:
        InputError: if nothing is left to write; with `strict`, with a line for each problem.
    """
    begin, summary = time.monotonic(), Summary()
    make = partial(_make, channel=channel, project=project)
    names, written = dict[str, str](), list[str]()
    tables: dict[str, Table] = {"groups.csv": {}, "sources.csv": {}}
    with ExitStack() as stack, atomic_path(out) as beside, zipfile.ZipFile(beside, "w") as archive:
        for source in sources:
            root = stack.enter_context(unpacked(source, out))
            found = find_items(root, form, only_changed)
            summary.forms[str(source)] = found.form
            summary.left_out += found.left_out
            summary.problems += [_named(line, root, source) for line in found.problems]
            items = list(_unclashed(found, names, source, summary.problems))
            for item, sample, problems in attempt_each(make, items, "import"):
                summary.problems += [_named(line, root, source) for line in problems]
                if sample:
                    for name, content in sample.files:
                        archive.writestr(zipfile.ZipInfo(name, LONG_AGO), content)
                    written.append(item.name)
                    summary.objects += sample.objects
                    summary.left_out += sample.left_out
                    tables["sources.csv"][item.name] = {"source": source_name(source)}
            _add_tables(root if root.is_dir() else root.parent, tables, summary.problems)
        summary.left_out["rows of groups.csv without an image"] = len(tables["groups.csv"].keys() - set(written))
        _write_tables(archive, tables, sorted(written))
        summary.images = len(written)
        if not written or (strict and summary.problems):
            reason = "because of --strict" if written else "there is no image with objects to import"
            raise InputError(*summary.problems, f"{out}: not written, {reason}")
    summary.seconds = time.monotonic() - begin
    return summary


def _unclashed(found: Found, names: dict[str, str], source: Path, problems: list[str]) -> Iterator[Item]:
    """Give the items whose names can stand in one archive; names differ if they do without case and Unicode form."""
    for item in found.items:
        key = nfc(item.name.casefold())
        if rules := [*id_faults(item.name), *name_faults(f"{item.name}/images/{item.name}.tiff")]:
            problems.append(f"{source}: {item.name!r} {rules[0]}; rename it")
        elif key in names:
            problems.append(f"{source}: {item.name!r} is the name of an image of {names[key]} too; rename one")
        else:
            names[key] = str(source)
            yield item


def _make(item: Item, channel: Channel, project: Project) -> _Sample:
    """Read an image and its objects, and make the files of its sample; what is not asked for is as in prediction."""
    channel = item.channel if channel == "all" else channel
    project = item.project if project == "none" else project
    if item.read is None:
        return _copy(item, channel, project)
    stored = read_stored(item.image, item.plane, channel=channel, project=project)
    if stored.orientation != 1:
        raise InputError(f"{item.image}: has orientation {stored.orientation}; save it upright")
    height, width = stored.pixels.shape[:2]
    regions, left_out = item.read(height, width)
    check_count(len(regions), item.image)
    masks = [(f"{item.name}/masks/{name}.png", content) for name, content in _masks(regions, height, width)]
    return _Sample([_image(item, stored.pixels, channel, project), *masks], len(regions), left_out)


def _copy(item: Item, channel: Channel, project: Project) -> _Sample:
    """Take a sample folder as it is, once it is known that the archive's reader accepts it."""
    folder = item.image.parent.parent
    sample = read_sample(folder, channel, project)
    files = sorted(file for file in (folder / "masks").iterdir() if not file.name.startswith("."))
    masks = [(f"{item.name}/masks/{file.name}", file.read_bytes()) for file in files]
    objects = len(files) if len(files) > 1 else len(np.unique(sample.labels[sample.labels > 0]))
    return _Sample([_image(item, sample.stored.pixels, channel, project), *masks], objects, Counter())


def _image(
    item: Item, pixels: Shaped[np.ndarray, "height width channels"], channel: Channel, project: Project
) -> tuple[str, bytes]:
    """Copy the image's file, or write what was chosen of it as PNG."""
    suffix = item.image.suffix.lower()
    if (channel, project, item.plane) == ("all", "none", None) and suffix in SUFFIXES:
        return f"{item.name}/images/{item.name}{suffix}", item.image.read_bytes()
    return f"{item.name}/images/{item.name}.png", _png(to_rgb(pixels)[..., ::-1])


def _masks(regions: Sequence[Region], height: int, width: int) -> Iterator[tuple[str, bytes]]:
    """Write one label image, or one file per object where objects overlap; all zero where there are none."""
    labels = np.zeros((height, width), np.uint16)
    if regions and (overlap(regions, height, width) or not _paint(labels, regions)):
        for number, region in enumerate(regions, 1):
            single = np.zeros((height, width), np.uint8)
            single[region.box][region.mask] = 255
            yield f"{number:05}", _png(single)
    else:
        yield "labels", _png(labels)


def _paint(labels: Shaped[np.ndarray, "height width"], regions: Sequence[Region]) -> bool:
    """Number the pixels of objects that do not overlap, and tell whether a reader will take them for a label image."""
    for number, region in enumerate(regions, 2 if len(regions) == 1 else 1):  # 1 alone would be a mask
        labels[region.box][region.mask] = number
    return is_label_image(labels, len(regions))


def _png(pixels: Shaped[np.ndarray, "height width *channels"]) -> bytes:
    return bytes(cv2.imencode(".png", pixels, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1])


def _add_tables(root: Path, tables: Mapping[str, Table], problems: list[str]) -> None:
    """Take over the rows of groups.csv and sources.csv of a source."""
    for name, rows in tables.items():
        path = root / name
        try:
            for row in read_csv(path) if path.is_file() else ():
                key = nfc(row.pop("id"))
                rows[key] = rows.get(key, {}) | row
        except (KeyError, ValueError, AttributeError) as error:
            problems.append(f"{path}: is not a CSV table in UTF-8 with a column id ({error})")


def _write_tables(archive: zipfile.ZipFile, tables: Mapping[str, Table], names: list[str]) -> None:
    for table, rows in tables.items():
        if columns := list(dict.fromkeys(column for row in rows.values() for column in row)):
            text = io.StringIO()
            writer = csv.DictWriter(text, ["id", *columns], restval="", lineterminator="\n")
            writer.writeheader()
            writer.writerows({"id": name} | rows.get(name, {}) for name in names)
            archive.writestr(zipfile.ZipInfo(table, LONG_AGO), text.getvalue())


def _named(line: str, root: Path, source: Path) -> str:
    """Name files by what the user gave, not by where it was unpacked."""
    return line.replace(f"{root}/", f"{source}/").replace(f"{root}:", f"{source}:")
