"""List and extract a zip of samples safely: all of it or nothing, and nothing outside the target."""

import contextlib
import copy
import dataclasses
import shlex
import stat
import struct
import sys
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from io import BufferedReader, BytesIO
from itertools import groupby
from pathlib import Path

from unetseg.config import DataSettings
from unetseg.dataset.layout import ICON, IMPORT, find_layout
from unetseg.dataset.members import faults, member_name, shown, what_is
from unetseg.errors import InputError
from unetseg.files import atomic_path, is_empty_zip
from unetseg.progress import progress

MOST_LINES = 20
ADVICE = "raise it in params.yaml if you trust the archive"
SPLIT, UNCOMPRESSED = "make several archives of it", "if you trust it, pack it uncompressed (zip -0)"
HEAD = 512  # bytes that tell a file's kind
PIECE = 2**20  # bytes unpacked at a time
SMALL = 10**7  # bytes; an uncompressed mask packs as well as a bomb does, and one of this size does no harm

DAMAGE = (  # what zipfile raises for damaged files; MemoryError where one announces a list of exabytes
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    OSError,
    RuntimeError,
    ValueError,
    OverflowError,
    MemoryError,
)


@dataclasses.dataclass(frozen=True)
class Contents:
    """What an open archive holds.

    Attributes:
        archive: where it is read from.
        ids: names of the samples, sorted.
        members: what is to be extracted, by its path below the target; a folder's path ends with '/'.
        left_out: names of the files that belong to no sample, without the clutter of archivers.
    """

    archive: zipfile.ZipFile
    ids: list[str]
    members: dict[str, zipfile.ZipInfo]
    left_out: list[str]

    def told_left_out(self) -> list[str]:
        """Say in a line, if any, which files belong to no sample."""
        if not self.left_out:
            return []
        return [f"left out {len(self.left_out)} files that belong to no sample, such as {self.left_out[0]!r}"]


@contextlib.contextmanager
def opened(path: Path, limits: DataSettings, setting: str | None = "data.archive") -> Iterator[Contents]:
    """Open an archive and check all that can be seen without unpacking its members.

    Args:
        path: the archive.
        limits: what it may hold.
        setting: the value of params.yaml that names it, for advice; None where params.yaml is not in use.

    Raises:
        InputError: with a line for each member that cannot be used, naming it and the rule.
    """
    with _open_file(path, setting) as file, open_zip(file) as archive:
        yield contents(archive, limits, setting)


def check_external(external: Path, limits: DataSettings) -> None:
    """Refuse the archive `evaluate.external` before the training, if its list of files is wrong.

    Raises:
        InputError: see `opened`.
    """
    if not is_empty_zip(external):
        with opened(external, limits, "evaluate.external"):
            pass


def extract(found: Contents, target: Path) -> None:
    """Extract the samples to `target`/<id>/images and `target`/<id>/masks; an older `target` is replaced.

    Raises:
        InputError: with a line for each damaged member; then `target` is as it was before.
    """
    damaged = []
    with atomic_path(target) as folder:
        folder.mkdir()
        for parent, _ in groupby(path[: path.rfind("/") + 1] for path in found.members):
            (folder / parent).mkdir(parents=True, exist_ok=True)
        files = [path for path in found.members if not path.endswith("/")]
        for path in progress(files, "unzip", len(files), unit="file"):
            try:
                with open(f"{folder}/{path}", "xb") as file:  # noqa: PTH123 - a Path for each adds a tenth to the time
                    file.writelines(read_member(found.archive, found.members[path]))
            except InputError as error:
                damaged.append(str(error))
        _refuse(found.archive, damaged)


def read_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Iterator[bytes]:
    """Unpack a member piece by piece, and stop at the first byte more than its header announced.

    So the limits, which `contents` checks on announced sizes, hold for what is written.

    Raises:
        InputError: if the member is damaged or its size is not the announced one.
    """
    whole = copy.copy(member)
    whole.file_size = sys.maxsize  # zipfile would stop at the announced size without a word
    size = 0
    try:
        with archive.open(whole) as stream:
            while size <= member.file_size and (piece := stream.read(PIECE)):
                size += len(piece)
                if size <= member.file_size:
                    yield piece
    except DAMAGE as error:
        raise InputError(f"{shown(member_name(member))}: is damaged ({error})") from error
    if size != member.file_size:
        found = "fewer" if size < member.file_size else "more"
        raise InputError(
            f"{shown(member_name(member))}: unpacks to {found} than the {member.file_size} bytes it declares"
        )


def open_zip(file: BufferedReader | BytesIO) -> zipfile.ZipFile:
    """Read the list of a zip's members.

    Raises:
        InputError: if it is not a zip, or one that was cut off or damaged.
    """
    try:
        return zipfile.ZipFile(file)
    except DAMAGE as error:
        name = getattr(file, "name", "archive")
        file.seek(0)
        if (head := file.read(HEAD)).startswith(b"PK\3\4"):
            raise InputError(f"{name}: is cut off or damaged ({error}); download or pack it again") from error
        if not str(name).lower().endswith(".zip"):
            raise InputError(f"{name}: is not a zip file; `unetseg import {name} --out my.zip` makes one") from error
        raise InputError(f"{name}: is not a zip file but {what_is(head)}") from error


def contents(archive: zipfile.ZipFile, limits: DataSettings, setting: str | None = "data.archive") -> Contents:
    """Find the samples of an archive and check its members; arguments and errors are those of `opened`."""
    members = archive.infolist()
    if len(members) > limits.max_members:
        rule = _limit("max_members", str(limits.max_members), SPLIT, setting)
        _refuse(archive, [f"holds {len(members)} members, {rule}"])
    by_name = {member_name(member): member for member in members}
    layout = find_layout(by_name)
    named = [member for member in members if member_name(member).rpartition("/")[2] != ICON]
    wrong: list[tuple[str | None, str]] = [*faults(named, archive.start_dir), *_size_faults(members, limits, setting)]
    # a refused member may hide the samples
    wrong.extend(fault for fault in layout.faults if fault[0] is not None or not wrong)
    then = f"; then set {setting} in params.yaml to my.zip" if setting else ""
    wrong = [(name, f"{rule}{then}" if rule.endswith(IMPORT) else rule) for name, rule in wrong]
    _refuse(archive, [rule if name is None else f"{shown(name)}: {rule}" for name, rule in wrong])
    return Contents(archive, layout.ids, {path: by_name[name] for path, name in layout.paths.items()}, layout.left_out)


def _open_file(path: Path, setting: str | None) -> BufferedReader:
    name_it = f"set {setting} in params.yaml to" if setting else "name"
    try:
        kind = path.stat().st_mode
        if stat.S_ISDIR(kind):
            made = f"run `unetseg import {shlex.quote(str(path))} --out my.zip` and {name_it} my.zip"
            raise InputError(f"{path}: is a folder, not a zip file; {made}")
        if not stat.S_ISREG(kind):
            raise InputError(f"{path}: is not a regular file; {name_it} a zip file")
        return path.open("rb")
    except FileNotFoundError as error:
        advice = f"; {name_it} your zip, or fetch the real data with the command in README" if setting else ""
        raise InputError(f"{path}: no such file{advice}") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error


def _size_faults(
    members: Sequence[zipfile.ZipInfo], limits: DataSettings, setting: str | None
) -> Iterator[tuple[str | None, str]]:
    for member in members:
        ratio = member.file_size / max(member.compress_size, 1)
        if member.file_size > SMALL and ratio > limits.max_ratio:
            rule = _limit("max_ratio", f"{limits.max_ratio:g}", UNCOMPRESSED, setting)
            yield member_name(member), f"unpacks to {ratio:.0f} times its packed size, {rule}"
    total = sum(member.file_size for member in members) / 1e9
    if total > limits.max_gigabytes:
        rule = _limit("max_gigabytes", f"{limits.max_gigabytes:g}", SPLIT, setting)
        yield None, f"unpacks to {total:.3g} GB, {rule}"


def _limit(name: str, most: str, advice: str, setting: str | None) -> str:
    """Name a limit, and say what to do about it: `advice` where params.yaml is not in use."""
    return f"more than data.{name} = {most}; {ADVICE}" if setting else f"more than {most}; {advice}"


def _refuse(archive: zipfile.ZipFile, wrong: Sequence[str]) -> None:
    """Raise what is wrong, if anything is, as one error with a line for each."""
    name = archive.filename or "archive"
    lines = [f"{name}: {line.replace('{archive}', shlex.quote(name))}" for line in wrong[:MOST_LINES]]
    if len(wrong) > MOST_LINES:
        lines.append(f"… and {len(wrong) - MOST_LINES} more")
    if lines:
        raise InputError(*lines)
