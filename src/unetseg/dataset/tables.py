"""Join the entries of files that describe many images, such as COCO's, to the images' own files."""

import os
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath, PurePosixPath
from typing import TypeVar

from unetseg.annotations.formats import FORMATS, TABLE_READERS
from unetseg.annotations.regions import Reader, Table
from unetseg.dataset.items import (
    FoundItems,
    Item,
    Kinds,
    folders_of,
    group_of,
    is_of_objects,
    names_of,
    part_of,
    stem_of,
    such_as,
)
from unetseg.dataset.layout import nfc
from unetseg.dataset.pairs import UNREAD, count_unread, tell_unknown
from unetseg.dataset.problems import attempt

Value = TypeVar("Value")


@dataclass(frozen=True, eq=False)
class _Entry:
    """An image as a table names it; each is itself alone, whatever others are called."""

    table: Path
    name: str
    read: Reader

    @property
    def path(self) -> PurePosixPath:
        return PurePosixPath(self.name.replace("\\", "/"))


# how to compare entries and files: the keys of both, and whether these are the name alone
_Step = tuple[Callable[[_Entry], str], Callable[[Path], str], bool]


def find_tables(kind: str, folder: Path, kinds: Kinds) -> FoundItems | None:
    """Find the images that the tables of a kind name; None if there is no such table."""
    tables = [file for file, each in kinds.items() if each == kind]
    rasters = [file for file, each in kinds.items() if each == "raster"]
    if not tables:
        return None
    found, entries = FoundItems(FORMATS[kind].purpose), list[_Entry]()
    for table in tables:
        read, problems = attempt(TABLE_READERS[kind], table)
        readers, lines, left_out = read or Table({}, [], Counter())
        found.problems += [*problems, *lines]
        found.left_out += left_out
        entries += [_Entry(table, name, reader) for name, reader in readers.items()]
    images = _without_masks(entries, rasters, folder)
    placed = _with_folder(entries, images, folder)
    joined = _join(entries, images, folder, placed)
    of_objects = sorted({*rasters} - {*images})
    masks = {_stem(file): file for file in of_objects}
    unread = {nfc(file.name): file for file in kinds if file.suffix.lower() in UNREAD}
    found.problems += _unjoined(entries, images, joined, placed, masks, unread, folder)
    keys = [(group_of(file, folder), _stem(file)) for file in joined.values()]
    for name, (entry, file) in zip(names_of(keys, folder), joined.items(), strict=True):
        found.items.append(Item(name, file, entry.read))
    if bare := sorted({*images} - {*joined.values()}):
        found.left_out[f"images that no table names, {such_as(bare, folder)}"] = len(bare)
    others = [file for file, each in kinds.items() if each not in (kind, "raster", "archive", None)]
    count_unread(found, folder, f"as {FORMATS[kind].purpose} were taken", sorted([*others, *of_objects]))
    tell_unknown(found, folder, kinds)
    return found


def _without_masks(entries: Sequence[_Entry], rasters: Sequence[Path], folder: Path) -> list[Path]:
    """Leave out what lies in folders of objects, unless an entry names the folder or is the whole path."""
    named = {nfc(part) for entry in entries for part in entry.path.parts[:-1]}
    whole = {_path(base / entry.path) for entry in entries for base in (entry.table.parent, folder)}
    parts = {each for file in rasters for each in folders_of(file, folder) if is_of_objects(each)}
    places = {file: part_of(file, folder, parts) for file in rasters}
    masks = {file for file, place in places.items() if place and is_of_objects(place) and nfc(place.name) not in named}
    return [file for file in rasters if file not in masks or _path(file) in whole]


def _join(
    entries: Sequence[_Entry], images: Sequence[Path], folder: Path, placed: Collection[_Entry]
) -> dict[_Entry, Path]:
    """Give entries their files: by the path, then by its end, then by the name alone, each also without the suffix.

    Each time a file goes to an entry only if it is the only one for this entry, and the entry the only one for it. By
    its name alone no file goes to an entry whose folder is there: then the file is missing.
    """
    deepest = max((len(file.parts) for file in images), default=0)
    lengths = sorted({len(entry.path.parts) for entry in entries if len(entry.path.parts) <= deepest}, reverse=True)
    joined: dict[_Entry, Path] = {}
    steps: list[_Step] = [
        (lambda entry: _path(entry.table.parent / entry.path), _path, False),
        (lambda entry: _path(folder / entry.path), _path, False),
        (lambda entry: _bare(entry.table.parent / entry.path), _bare, False),
        (lambda entry: _bare(folder / entry.path), _bare, False),
        *(_by_end(key, length) for key in (_path, _bare) for length in lengths if length > 1),
        (lambda entry: nfc(entry.path.name), lambda file: nfc(file.name), True),
        (lambda entry: _stem(entry.path), _stem, True),
    ]
    for of_entry, of_file, alone in steps:
        used = {*joined.values()}
        files = _grouped(of_file, (file for file in images if file not in used))
        rest = (entry for entry in entries if entry not in joined)
        wanted = _grouped(of_entry, (entry for entry in rest if not (alone and entry in placed)))
        pairs = ((each, files.get(key, [])) for key, each in wanted.items())
        found = {each[0]: there[0] for each, there in pairs if len(each) == len(there) == 1}
        elsewhere = _elsewhere(joined)
        joined |= {entry: file for entry, file in found.items() if not (alone and elsewhere(entry, file))}
    return {entry: joined[entry] for entry in entries if entry in joined}


def _unjoined(
    entries: Sequence[_Entry],
    images: Sequence[Path],
    joined: Mapping[_Entry, Path],
    placed: Collection[_Entry],
    masks: Mapping[str, Path],
    unread: Mapping[str, Path],
    folder: Path,
) -> Iterator[str]:
    """Say for each entry without a file why it has none."""
    used, elsewhere = {*joined.values()}, _elsewhere(joined)
    files = _grouped(_stem, (file for file in images if file not in used))
    rest = [entry for entry in entries if entry not in joined]
    wanted = _grouped(lambda entry: _stem(entry.path), (entry for entry in rest if entry not in placed))
    for entry in rest:
        key, reason = _stem(entry.path), f"there is no file of its name in or below {folder}"
        there = [] if entry in placed else files.get(key, [])
        if entry in placed:
            reason = f"there is no file of its name in a folder {entry.path.parent}"
        elif not there and (file := unread.get(nfc(entry.path.name))):
            reason = f"{file} is of a format that is not read"
        elif not there and key in masks:
            reason = f"there is no file of its name but {masks[key]}, in a folder of objects"
        if len(there) > 1:
            reason = f"{len(there)} files have its name, such as {there[0]} and {there[1]}"
        elif there and elsewhere(entry, there[0]):
            reason = f"there is no file of its name in or below {entry.table.parent}, where others of this table are"
        elif there:
            other = next(each for each in wanted[key] if each is not entry)
            reason = f"{there[0]} may be its file or that of {other.name} in {other.table}; keep one of the two"
        yield f"{entry.table}: {entry.name}: {reason}"


def _elsewhere(joined: Mapping[_Entry, Path]) -> Callable[[_Entry, Path], bool]:
    """Tell files of another set: not below a table that lies beside others of its images."""
    beside = {entry.table for entry, file in joined.items() if file.parent == entry.table.parent}
    return lambda entry, file: entry.table in beside and entry.table.parent not in file.parents


def _with_folder(entries: Sequence[_Entry], images: Sequence[Path], folder: Path) -> set[_Entry]:
    """Find the entries whose path names a folder that holds images."""
    above = {each for parent in {file.parent for file in images} for each in (parent, *parent.parents)}
    there = {_path(each) for each in above}
    inner = {each.parts for each in above if folder in each.parents}
    ends = {_path(PurePath(*parts[start:])) for parts in inner for start in range(len(folder.parts), len(parts))}
    places = {(entry.table.parent, entry.path.parent) for entry in entries if entry.path.parent.name}
    known = {
        (beside, below)
        for beside, below in places
        if _path(below) in ends or {_path(beside / below), _path(folder / below)} & there
    }
    return {entry for entry in entries if (entry.table.parent, entry.path.parent) in known}


def _grouped(key: Callable[[Value], str], values: Iterable[Value]) -> dict[str, list[Value]]:
    groups = defaultdict[str, list[Value]](list)
    for value in values:
        groups[key(value)].append(value)
    return dict(groups)


def _by_end(key: Callable[[PurePath], str], length: int) -> _Step:
    """Compare entries whose path has so many parts with as many last parts of files; no file's key is empty."""
    return (
        lambda entry: key(entry.path) if len(entry.path.parts) == length else "",
        lambda file: key(PurePath(*file.parts[-length:])),
        False,
    )


def _path(path: PurePath) -> str:
    return nfc(os.path.normpath(path))


def _bare(path: PurePath) -> str:
    return _path(path.parent / stem_of(path.name))


def _stem(path: PurePath) -> str:
    return nfc(stem_of(path.name))
