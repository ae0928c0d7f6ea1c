"""Turn images and objects of any form into the pipeline's archive, one image at a time."""

import csv
import io
import time
import zipfile
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from unetseg.annotations.regions import TOLD
from unetseg.dataset.forms import find_items
from unetseg.dataset.groups import ALL_COLUMNS, STACK, read_rows
from unetseg.dataset.items import FoundItems, Item
from unetseg.dataset.layout import GROUPS, SOURCES, id_faults, nfc
from unetseg.dataset.members import name_faults
from unetseg.dataset.packing import Packed, pack
from unetseg.dataset.predictions import NOT_CHANGED
from unetseg.dataset.problems import attempt, attempt_each
from unetseg.dataset.unpacking import PACKED, source_name, unpacked
from unetseg.errors import InputError, printable
from unetseg.files import atomic_path, check_sources
from unetseg.images.stacks import Channel, Project

MOST_CLASSES = 8  # that are told by name
NEEDED = {GROUPS: ALL_COLUMNS, SOURCES: ("source",)}  # columns of which a table has at least one


@dataclass
class Summary:
    """What was imported.

    Attributes:
        forms: for each source what was understood.
        images: how many there are in the archive.
        objects: how many they have in all.
        classes: how many objects are of each class, of those forms that have classes.
        left_out: how much was not used, by the reason.
        left_out_of: the first image of which something was left out, and how many there are, by the reason.
        problems: a line for each input that cannot be used.
        warnings: a line for what may be meant to be used, as images without objects.
        seconds: that it took.
    """

    forms: dict[str, str] = field(default_factory=dict)
    images: int = 0
    objects: int = 0
    classes: Counter[str] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)
    left_out_of: dict[str, tuple[str, int]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def classes_line(self) -> str:
        """Say which classes became one kind of object; empty if there are no two."""
        if len(self.classes) < 2:
            return ""
        most = [f"{name:.40} {count}" for name, count in self.classes.most_common(MOST_CLASSES)]
        most += ["…"] * (len(self.classes) > MOST_CLASSES)
        return printable(f"objects of {len(self.classes)} classes taken as one kind: {', '.join(most)}")

    def left_out_line(self) -> str:
        """Say how much was not used and why, and of which images; empty if all was."""
        parts = [f"{count} {reason}{self._of(reason)}" for reason, count in self.left_out.items() if count]
        return f"left out: {'; '.join(parts)}" if parts else ""

    def warn(self) -> None:
        """Make warnings of what was counted and may teach a model what is wrong."""
        for reason, meaning in TOLD.items():
            if self.left_out[reason]:
                self.warnings.append(f"{self.left_out.pop(reason)} {reason}{self._of(reason)}: {meaning}")

    def _of(self, reason: str) -> str:
        first, count = self.left_out_of.get(reason, ("", 0))
        return printable(f" (in {first}{f' and {count - 1} more' if count > 1 else ''})") if count else ""


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
        strict: whether to write nothing if there is any problem or warning.

    Raises:
        InputError: if nothing is left to write; with `strict`, with a line for each problem; if `out` is a source or a
            file of another kind.
    """
    check_sources(out, sources)
    if out.exists() and not (out.is_file() and zipfile.is_zipfile(out)):  # a device may never end
        raise InputError(f"{out}: exists and is no zip, which alone is replaced; name another file in --out")
    begin, summary = time.monotonic(), Summary()
    make = partial(pack, channel=channel, project=project)
    with atomic_path(out) as beside, zipfile.ZipFile(beside, "w") as archive:
        but = {path.resolve() for path in (out, *sources) if path.name.lower().endswith(PACKED)}
        into = _Import(archive, make, summary, but)
        for source in sources:
            _, lines = attempt(into.add, source, beside.parent, form, only_changed)
            if lines and len(sources) == 1:
                raise InputError(*lines)
            summary.problems += lines
        into.write_tables()
        summary.warn()
        lines = [*summary.problems, *summary.warnings]
        if not summary.images or (strict and lines):
            same = 0 if summary.problems else summary.left_out[NOT_CHANGED]
            nothing = f"none of {same} images was changed" if same else "there is no image with objects to import"
            reason = "because of --strict" if summary.images else nothing
            raise InputError(*lines, f"{out}: not written, {reason}")
    summary.seconds = time.monotonic() - begin
    return summary


@dataclass
class _Import:
    """The archive that is being written; its members are of 1980, so that the same images give the same archive."""

    archive: zipfile.ZipFile
    make: Callable[[Item], Packed]
    summary: Summary
    but: Collection[Path]  # what is no part of a folder of images in which it lies
    names: dict[str, tuple[Path, Path]] = field(default_factory=dict)  # in one form, with the source and its image
    pixels: dict[str, tuple[str, Path]] = field(default_factory=dict)  # by their hash an image, and the source of it
    stacks: dict[str, str] = field(default_factory=dict)  # by the name of a plane that of its file
    tables: dict[str, dict[str, dict[str, str]]] = field(default_factory=lambda: {name: {} for name in NEEDED})  # by id

    def add(self, source: Path, beside: Path, form: str | None, only_changed: bool) -> None:
        """Add the images of a source, unpacked in the folder `beside` if it is an archive, and their rows."""
        with unpacked(source, beside) as (root, inner):
            found, lines = attempt(find_items, root, form, only_changed, self.but)
            named = partial(_named, root=root, source=source)
            self.summary.problems += map(named, inner)
            if found is None:
                raise InputError(*map(named, lines))
            self.summary.forms[str(source)] = found.form
            self.summary.left_out += found.left_out
            self.summary.problems += map(named, found.problems)
            self.summary.warnings += map(named, found.warnings)
            taken = set[str]()
            unclashed = list(self._unclashed(found, source))
            for item, sample, problems in attempt_each(self.make, unclashed, "import"):
                self.summary.problems += map(named, problems)
                if sample and (twin := self._twin(item.name, sample, source)):
                    self.summary.problems.append(twin)
                elif sample:
                    self._write(item.name, sample)
                    taken.add(item.name)
                    self.tables[SOURCES][item.name] = {"source": source_name(source)}
            for path in found.tables:
                self.summary.problems += map(named, self._add_rows(path, taken, found.named))
            if planes := {item.name: item.stack for item in found.items if item.stack and item.name in taken}:
                told = f"{len(planes)} planes of {len({*planes.values()})} files, those of one file in one group"
                self.summary.forms[str(source)] += f"; {told}"
                self.stacks |= planes

    def write_tables(self) -> None:
        """Write groups.csv and sources.csv, with a row for each image; warn of those that groups.csv does not name."""
        names, groups = self.tables[SOURCES].keys(), self.tables[GROUPS]
        given = {name for name, row in groups.items() if row.keys() - {STACK}}
        files = {self.stacks[name] for name in given & self.stacks.keys()}
        grouped = given | {name for name, file in self.stacks.items() if file in files}
        if given and (bare := names - grouped):
            line = f"{len(bare)} of {len(names)} images have no row in {GROUPS}, such as {min(bare)}"
            self.summary.warnings.append(line)
        for name, stack in self.stacks.items():
            groups.setdefault(name, {})[STACK] = stack
        for table, rows in self.tables.items():
            if columns := list(dict.fromkeys(column for row in rows.values() for column in row)):
                text = io.StringIO()
                writer = csv.DictWriter(text, ["id", *columns], restval="", lineterminator="\n")
                writer.writeheader()
                writer.writerows({"id": name} | rows.get(name, {}) for name in sorted(self.tables[SOURCES]))
                self.archive.writestr(zipfile.ZipInfo(table), text.getvalue())

    def _write(self, image: str, sample: Packed) -> None:
        for name, content in sample.files:
            self.archive.writestr(zipfile.ZipInfo(name), content)
        self.summary.images += 1
        self.summary.objects += sample.objects
        self.summary.classes += sample.classes
        self.summary.left_out += sample.left_out
        for reason in sample.left_out:
            first, count = self.summary.left_out_of.get(reason, (image, 0))
            self.summary.left_out_of[reason] = (first, count + 1)

    def _unclashed(self, found: FoundItems, source: Path) -> Iterator[Item]:
        """Give the items whose names can stand in one archive: they differ without case and Unicode form, too."""
        for item in found.items:
            key = nfc(item.name.casefold())
            if rules := [*id_faults(item.name), *name_faults(f"{item.name}/images/{item.name}.tiff")]:
                self.summary.problems.append(f"{source}: {item.name!r} {rules[0]}; rename it")
            elif key in self.names:
                other, image = self.names[key]
                where = f"{item.image} and {image}" if other == source else f"an image of {other} too"
                one = "one" if item.read else "the folder of one"
                self.summary.problems.append(f"{source}: {item.name!r} is the name of {where}; rename {one}")
            else:
                self.names[key] = source, item.image
                yield item

    def _twin(self, name: str, sample: Packed, source: Path) -> str:
        """Tell of an image of an earlier source that has the pixels of this one under another name."""
        first, other = self.pixels.setdefault(sample.pixels, (name, source))
        if other == source or not sample.pixels:
            return ""
        return f"{source}: {name!r} has the pixels of {first!r} of {other}; keep one of them"

    def _add_rows(self, path: Path, taken: Collection[str], named: Callable[[str], str | None]) -> list[str]:
        """Take over a table's rows of the images that were taken from its source; tell which cannot be used.

        What a row calls an image, `named` tells as `FoundItems.named` does.
        """
        table = path.name.lower()  # spreadsheets and people may write it with capitals
        try:
            found, problems = read_rows(path, NEEDED[table])
        except OSError as error:
            return [f"{path}: cannot be read: {error.strerror}"]
        except InputError as error:
            return str(error).splitlines()
        rows, strange = self.tables[table], list[str]()
        for row in found:
            given = row.pop("id")
            name = named(given)
            if name is None and table == GROUPS:
                strange.append(given)
            elif name is None or name not in taken:
                self.summary.left_out[f"rows of {table} whose images are left out"] += 1
            elif rows.get(name, {}).keys() <= {"source"}:
                rows[name] = rows.get(name, {}) | row
            else:
                problems[name] = f"{path}: {name}: has several rows, here or in another {table}; keep one"
        if strange:
            lost = f"{len(strange)} rows are of no image, such as {', '.join(strange[:3])}"
            return [*problems.values(), f"{path}: {lost}; names of images are such as {min(taken, default='')}"]
        return list(problems.values())


def _named(line: str, root: Path, source: Path) -> str:
    """Name files by what the user gave, not by where it was unpacked."""
    return line.replace(f"{root}/", f"{source}/").replace(f"{root}:", f"{source}:")
