"""Turn images and objects of any form into the pipeline's archive, one image at a time."""

import csv
import io
import tarfile
import tempfile
import time
import unicodedata
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Shaped

from unetseg.annotations.masks import check_count, is_label_image
from unetseg.annotations.regions import Region, overlap
from unetseg.dataset.archive import open_zip, read_member
from unetseg.dataset.forms import Found, Item, find_items
from unetseg.dataset.layout import id_faults
from unetseg.dataset.members import INNER, faults, member_name, name_faults
from unetseg.dataset.problems import attempt
from unetseg.dataset.samples import read_sample
from unetseg.errors import InputError
from unetseg.files import atomic_path, read_csv
from unetseg.images.inputs import SUFFIXES
from unetseg.images.intensity import to_rgb
from unetseg.images.opening import read_stored
from unetseg.images.stacks import Channel, Project
from unetseg.parallel import in_processes
from unetseg.progress import progress

LONG_AGO = (1980, 1, 1, 0, 0, 0)  # the same images give the same archive
MOST_MEMBERS = 1_000_000
MOST_BYTES = 200 * 10**9
MOST_RATIO = 200
SMALL = 10**9  # bytes; images of masks may pack as well as a bomb does
MOST_LINES = 20
TARS = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")


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


@dataclass(frozen=True)
class _Sample:
    """The files of a sample in the archive, and how many objects it has."""

    files: list[tuple[str, bytes]]
    objects: int
    left_out: list[str]


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
    begin = time.monotonic()
    summary = Summary()
    names: dict[str, str] = {}
    tables: dict[str, dict[str, dict[str, str]]] = {"groups.csv": {}, "sources.csv": {}}
    with ExitStack() as stack, atomic_path(out) as beside, zipfile.ZipFile(beside, "w") as archive:
        for source in sources:
            root = stack.enter_context(_opened(source, out))
            found = find_items(root, form, only_changed)
            summary.forms[str(source)] = found.form
            summary.left_out += found.left_out
            summary.problems += [_named(line, root, source) for line in found.problems]
            items = list(_unclashed(found, names, source, summary.problems))
            made = in_processes(partial(attempt, _make, channel=channel, project=project), items)
            for item, (sample, problems) in zip(items, progress(made, "import", len(items)), strict=True):
                summary.problems += [_named(line, root, source) for line in problems]
                if sample is None:
                    continue
                for name, content in sample.files:
                    archive.writestr(zipfile.ZipInfo(name, LONG_AGO), content)
                summary.images += 1
                summary.objects += sample.objects
                summary.left_out += Counter(dict(_counted(line) for line in sample.left_out))
                tables["sources.csv"][item.name] = {"source": _stem(source)}
            _add_tables(root if root.is_dir() else root.parent, tables, summary.problems)
        done = tables["sources.csv"].keys() & names.keys()
        summary.left_out["rows of groups.csv without an image"] = len(tables["groups.csv"].keys() - done)
        _write_tables(archive, tables, sorted(done))
        if not summary.images or (strict and summary.problems):
            reason = "because of --strict" if summary.images else "there is no image with objects to import"
            raise InputError(*summary.problems, f"{out}: not written, {reason}")
    summary.seconds = time.monotonic() - begin
    return summary


def _counted(line: str) -> tuple[str, int]:
    count, _, what = line.partition(" ")
    return what, int(count)


def _unclashed(found: Found, names: dict[str, str], source: Path, problems: list[str]) -> Iterator[Item]:
    """Give the items whose names can stand in one archive; names differ if they do without case and Unicode form."""
    for item in found.items:
        key = unicodedata.normalize("NFC", item.name.casefold())
        if rules := [*id_faults(item.name), *name_faults(f"{item.name}/images/{item.name}.tiff")]:
            problems.append(f"{source}: {item.name!r} {rules[0]}; rename it")
        elif key in names:
            problems.append(f"{source}: {item.name!r} is the name of an image of {names[key]} too; rename one")
        else:
            names[key] = str(source)
            yield item


def _make(item: Item, channel: Channel, project: Project) -> _Sample:
    """Read an image and its objects, and make the files of its sample."""
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
    image = _image(item, sample.stored.pixels, channel, project)
    files = sorted(file for file in (folder / "masks").iterdir() if not file.name.startswith("."))
    masks = [(f"{item.name}/masks/{file.name}", file.read_bytes()) for file in files]
    objects = len(files) if len(files) > 1 else len(np.unique(sample.labels[sample.labels > 0]))
    return _Sample([image, *masks], objects, [])


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
        for number, (row, column, mask) in enumerate(regions, 1):
            single = np.zeros((height, width), np.uint8)
            single[row : row + mask.shape[0], column : column + mask.shape[1]][mask] = 255
            yield f"{number:05}", _png(single)
    else:
        yield "labels", _png(labels)


def _paint(labels: Shaped[np.ndarray, "height width"], regions: Sequence[Region]) -> bool:
    """Number the pixels of objects that do not overlap, and tell whether a reader will take them for a label image."""
    for number, (row, column, mask) in enumerate(regions, 2 if len(regions) == 1 else 1):  # 1 alone would be a mask
        labels[row : row + mask.shape[0], column : column + mask.shape[1]][mask] = number
    return is_label_image(labels, len(regions))


def _png(pixels: Shaped[np.ndarray, "height width *channels"]) -> bytes:
    return bytes(cv2.imencode(".png", pixels, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1])


def _add_tables(root: Path, tables: Mapping[str, dict[str, dict[str, str]]], problems: list[str]) -> None:
    """Take over the rows of groups.csv and sources.csv of a source."""
    for name, rows in tables.items():
        if (path := root / name).is_file():
            try:
                for row in read_csv(path):
                    key = unicodedata.normalize("NFC", row.pop("id"))
                    rows[key] = rows.get(key, {}) | row
            except (KeyError, ValueError, AttributeError) as error:
                problems.append(f"{path}: is not a CSV table in UTF-8 with a column id ({error})")


def _write_tables(archive: zipfile.ZipFile, tables: Mapping[str, dict[str, dict[str, str]]], names: list[str]) -> None:
    for table, rows in tables.items():
        columns = list(dict.fromkeys(column for row in rows.values() for column in row))
        if columns:
            text = io.StringIO()
            writer = csv.DictWriter(text, ["id", *columns], restval="", lineterminator="\n")
            writer.writeheader()
            writer.writerows({"id": name} | rows.get(name, {}) for name in names)
            archive.writestr(zipfile.ZipInfo(table, LONG_AGO), text.getvalue())


@contextmanager
def _opened(source: Path, out: Path) -> Iterator[Path]:
    """Give a folder or table as it is; unpack a zip or tar, and zips in it, beside the archive that is written."""
    if not source.exists():
        raise InputError(f"{source}: no such file or folder")
    packed = source.name.lower().endswith((".zip", *TARS))
    if source.is_dir() or not packed:
        yield source
        return
    with tempfile.TemporaryDirectory(prefix=".import-", dir=out.parent) as folder:
        unpack = _unpack_zip if source.suffix.lower() == ".zip" else _unpack_tar
        unpack(source, Path(folder))
        for inner in sorted(Path(folder).rglob("*.zip")):
            with inner.open("rb") as file, open_zip(file) as archive:
                rois = any(member.filename.lower().endswith(".roi") for member in archive.infolist())
            if not rois:
                _unpack_zip(inner, inner.with_suffix(""))
                inner.unlink()
        yield Path(folder)


def _unpack_zip(path: Path, folder: Path) -> None:
    with path.open("rb") as file, open_zip(file) as archive:
        members = archive.infolist()
        wrong = [f"{name!r}: {rule}" for name, rule in faults(members, archive.start_dir) if rule != INNER]
        wrong += _too_much(path, [member.file_size for member in members])
        if wrong:
            raise InputError(*(f"{path}: {line}" for line in wrong[:MOST_LINES]))
        for member in members:
            target = folder / member_name(member)
            if member.is_dir():
                target.mkdir(parents=True, exist_ok=True)
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("xb") as stream:
                stream.writelines(read_member(archive, member))


def _unpack_tar(path: Path, folder: Path) -> None:
    try:
        with tarfile.open(path) as archive:
            wrong = _too_much(path, [member.size for member in archive])
            if wrong:
                raise InputError(f"{path}: {wrong[0]}")
            archive.extractall(folder, filter="data")
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        raise InputError(f"{path}: cannot be unpacked safely: {error}") from error


def _too_much(path: Path, sizes: Sequence[int]) -> list[str]:
    """Refuse what would fill the disk: the limits are those of params.yaml as it comes."""
    lines = []
    if len(sizes) > MOST_MEMBERS:
        lines.append(f"holds {len(sizes):,} members; at most {MOST_MEMBERS:,} are unpacked")
    total, packed = sum(sizes), path.stat().st_size
    if total > min(MOST_BYTES, max(MOST_RATIO * packed, SMALL)):
        lines.append(f"unpacks from {packed / 1e9:.3g} to {total / 1e9:.3g} GB; unpack it yourself if you trust it")
    return lines


def _stem(source: Path) -> str:
    name = source.resolve().name
    return next((name[: -len(suffix)] for suffix in (".zip", *TARS) if name.lower().endswith(suffix)), name)


def _named(line: str, root: Path, source: Path) -> str:
    """Name files by what the user gave, not by where it was unpacked."""
    return line.replace(f"{root}/", f"{source}/").replace(f"{root}:", f"{source}:")
