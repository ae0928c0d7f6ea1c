"""What is found in a folder: images, and how to read their objects."""

import csv
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import takewhile
from pathlib import Path, PurePath

from unetseg.annotations.regions import Reader
from unetseg.annotations.runs import COLUMNS
from unetseg.dataset.archive import open_zip
from unetseg.dataset.layout import TABLES, nfc
from unetseg.dataset.problems import attempt
from unetseg.dataset.unpacking import PACKED
from unetseg.errors import printable
from unetseg.images.names import IMAGE_FOLDERS, OBJECT_WORDS, SUFFIXES, as_text, without_ome
from unetseg.images.stacks import Channel, Project

Kinds = Mapping[Path, str | None]  # the files of a folder, and what each holds, as `kind_of` tells
OBJECT_FOLDERS = {"masks", "mask", "labels", "label", "annotations", "rois", "roi", "geojson", "json", "gt"}
BY_SUFFIX = {**dict.fromkeys(SUFFIXES, "raster"), ".roi": "roi", ".geojson": "geojson"}
JSON_KINDS = {
    "labelme": re.compile(rb'"(?:shapes|imageData)"\s*:'),  # with sorted keys, the picture comes before the shapes
    "geojson": re.compile(rb'"type"\s*:\s*"Feature|"(?:features|geometry)"\s*:'),
    "coco": re.compile(rb'"images"\s*:\s*\[|"(?:image_id|segmentation)"\s*:'),
}
HEAD = 2**16  # bytes of a file that are looked at to see what it is


@dataclass(frozen=True)
class Item:
    """An image to import.

    Attributes:
        name: what its sample is called.
        image: its file.
        read: reads its objects; None for a sample folder of the pipeline's layout, which is taken as it is.
        plane: which image of a stack, from 0.
        channel: what of the image its objects were found on; see `unetseg.images.stacks`.
        project: how its depth became one image.
        stack: what its file is called, where that holds several planes: they belong together.
    """

    name: str
    image: Path
    read: Reader | None
    plane: int | None = None
    channel: Channel = "all"
    project: Project = "none"
    stack: str = ""


@dataclass
class FoundItems:
    """What a folder holds.

    Attributes:
        form: what was understood, in words.
        items: the images that have objects.
        left_out: files that are not used, by the reason.
        problems: a line for each file that should be of use and is not.
        warnings: a line for files that may be meant to be of use.
        tables: groups.csv and sources.csv, those nearest to the folder.
        others: files of images that are not among the items.
    """

    form: str
    items: list[Item] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    tables: list[Path] = field(default_factory=list)
    others: list[Path] = field(default_factory=list)

    def named(self, given: str) -> str | None:
        """Find the item that a table means by its name, or by its image's name or path, with or without the suffix.

        Of images of one name the folders decide, from the first on from which they are all the image's, in their order.

        Returns:
            The item's name; empty for an image that is not among them, and None for none at all.
        """
        *folders, name = given.replace("\\", "/").split("/")
        for whole in (given, *([] if folders else [stem_of(name)])):
            if whole in self._names:
                return whole
        found = fitting = self._by_stem.get(stem_of(name), [])
        parts = [nfc(each.casefold()) for each in folders]
        if parts and len(found) > 1:
            tried = ([each for each in found if _in_order(parts[start:], each[0])] for start in range(len(parts)))
            fitting = next(filter(None, tried), [])
        items = {item for _, item in fitting if item}
        if len(items) > 1 or not fitting:
            return None
        return items.pop() if items else ""

    @cached_property
    def _names(self) -> set[str]:
        return {item.name for item in self.items}

    @cached_property
    def _by_stem(self) -> dict[str, list[tuple[Path, str]]]:
        """The images by what their names are without a suffix, each with the name of its item, empty for the others."""
        images = [*((item.image, item.name) for item in self.items), *((image, "") for image in self.others)]
        by_stem = defaultdict[str, list[tuple[Path, str]]](list)
        for image, name in images:
            by_stem[as_text(nfc(without_ome(image.stem)))].append((image, name))
        return by_stem


def _in_order(wanted: Sequence[str], image: Path) -> bool:
    left = iter(nfc(part.casefold()) for part in image.parts)
    return all(each in left for each in wanted)


def kind_of(file: Path) -> str | None:
    """Tell what a file holds, by its name and, of JSON, CSV and zips, by what is in it; None: nothing that is known.

    Raises:
        OSError: if it cannot be read.
    """
    suffix = file.suffix.lower()
    if suffix in BY_SUFFIX:
        return BY_SUFFIX[suffix]
    if file.name.lower().endswith(PACKED):
        return "roi" if suffix == ".zip" and _may_hold_rois(file) else "archive"
    if suffix == ".npy":
        return "seg.npy" if file.stem.endswith("_seg") else None
    if suffix == ".csv" and file.name.lower() not in TABLES:
        return "rle" if _is_bowl(file) else None
    return json_kind(file) if suffix == ".json" else None


def json_kind(file: Path) -> str | None:
    """Tell which program's JSON a file is, by the words at its beginning."""
    with file.open("rb") as stream:
        head = stream.read(HEAD).replace(b"\0", b"")  # of UTF-16, which is refused by name when it is read
    return next((kind for kind, words in JSON_KINDS.items() if words.search(head)), None)


def _may_hold_rois(file: Path) -> bool:
    with file.open("rb") as stream:
        archive, _ = attempt(open_zip, stream)
        names = archive.namelist() if archive else []
    return not names or any(name.lower().endswith(".roi") for name in names)


def _is_bowl(file: Path) -> bool:
    with file.open(encoding="utf-8-sig", errors="replace", newline="") as stream:
        return {*COLUMNS} <= {*next(csv.reader([stream.readline(HEAD)]), [])}


def part_of(file: Path, root: Path, parts: Collection[Path] = ()) -> Path | None:
    """Find the innermost folder above a file whose name says that it holds images, or objects, or one of `parts`.

    What the folder that is imported and those above are called says nothing.
    """
    named = IMAGE_FOLDERS | OBJECT_FOLDERS
    return next((each for each in folders_of(file, root) if each.name.lower() in named or each in parts), None)


def folders_of(file: Path, root: Path) -> Iterator[Path]:
    """Give the folders above a file, the innermost first, below the one that is imported."""
    return takewhile(lambda folder: folder != root, file.parents)


def is_of_objects(part: Path | None) -> bool:
    """Tell by its name a folder of objects."""
    return part is not None and OBJECT_WORDS.search(part.name) is not None


def group_of(file: Path, root: Path, parts: Mapping[Path, Path] | None = None) -> Path:
    """Give the folder that holds an image and its objects, or their folders: the path of both without `part_of`.

    `parts` gives what stands in place of each of them.
    """
    parts = parts or {}
    part = part_of(file, root, parts)
    return parts.get(part, part.parent) / file.parent.relative_to(part) if part else file.parent


def names_of(keys: Sequence[tuple[Path, str]], root: Path) -> list[str]:
    """Name samples after their images, given by group and stem: by the stem, or the path where several have it."""
    stems = Counter(stem.casefold() for _, stem in keys)
    return [
        as_text(stem) if stems[stem.casefold()] == 1 else flat((group.relative_to(root) / stem).as_posix())
        for group, stem in keys
    ]


def stem_of(name: str) -> str:
    """Take the suffix of an image, and no other, from a name: that of `slide.1` is part of it."""
    path = PurePath(name)
    return without_ome(path.stem if path.suffix.lower() in SUFFIXES else path.name)


def such_as(files: Sequence[Path], root: Path) -> str:
    """Name the first few of many files below a folder."""
    names = [printable(file.relative_to(root).as_posix()) for file in files[:3]]
    return f"such as {', '.join(names)}"


def flat(path: str) -> str:
    """Make a sample's name of the path of its image."""
    return as_text(nfc(path)).replace("/", "_")
