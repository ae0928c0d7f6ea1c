"""List and extract a zip of samples safely: all of it or nothing, and nothing outside the target."""

import contextlib
import copy
import dataclasses
import stat
import struct
import sys
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from io import BufferedReader, BytesIO
from pathlib import Path

from unetseg.errors import InputError
from unetseg.files import atomic_path
from unetseg.progress import progress
from unetseg.samples.layout import find_layout
from unetseg.samples.members import faults

MOST_LINES = 20
PIECE = 2**20
ADVICE = "raise it in params.yaml if you trust the archive"
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


@contextlib.contextmanager
def opened(path: Path, *, max_members: int, max_gigabytes: float, max_ratio: float) -> Iterator[Contents]:
    """Open an archive and check all that can be seen without unpacking its members.

    Args:
        path: the zip file.
        max_members: how many files and folders it may hold.
        max_gigabytes: to how many 10⁹ bytes its members may unpack together.
        max_ratio: to how many times its packed size a member of more than 10 MB may unpack.

    Raises:
        InputError: with a line for each member that cannot be used, naming it and the rule.
    """
    with _open_file(path) as file, open_zip(file) as archive:
        yield contents(archive, max_members=max_members, max_gigabytes=max_gigabytes, max_ratio=max_ratio)


def extract(found: Contents, target: Path) -> None:
    """Extract the samples to `target`/<id>/images and `target`/<id>/masks; an older `target` is replaced.

    Raises:
        InputError: with a line for each damaged member; then `target` is as it was before.
    """
    damaged = []
    with atomic_path(target) as folder:
        folder.mkdir()
        for parent in dict.fromkeys(path[: path.rindex("/")] for path in found.members if "/" in path):
            (folder / parent).mkdir(parents=True)
        files = {path: member for path, member in found.members.items() if not path.endswith("/")}
        for path, member in progress(files.items(), "unzip", len(files), unit="file"):
            with (folder / path).open("xb") as file:
                try:
                    file.writelines(read_member(found.archive, member))
                except InputError as error:
                    damaged.append(str(error))
        _refuse(found.archive, damaged)


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
        if file.read(4) == b"PK\3\4":
            raise InputError(f"{name}: is cut off or damaged ({error}); download or pack it again") from error
        raise InputError(f"{name}: is not a zip file; set data.archive in params.yaml to one") from error


def contents(archive: zipfile.ZipFile, *, max_members: int, max_gigabytes: float, max_ratio: float) -> Contents:
    """Find the samples of an archive and check its members; arguments and errors are those of `opened`."""
    members = archive.infolist()
    if len(members) > max_members:
        _refuse(archive, [f"holds {len(members)} members, more than data.max_members = {max_members}; {ADVICE}"])
    layout = find_layout(member.orig_filename for member in members)
    wrong: list[tuple[str | None, str]] = [
        *faults(members, archive.start_dir),
        *_size_faults(members, max_gigabytes, max_ratio),
    ]
    wrong.extend(
        fault for fault in layout.faults if fault[0] is not None or not wrong
    )  # a refused member may hide the samples
    _refuse(archive, [rule if name is None else f"{_shown(name)}: {rule}" for name, rule in wrong])
    by_name = {member.orig_filename: member for member in members}
    return Contents(archive, layout.ids, {path: by_name[name] for path, name in layout.paths.items()}, layout.left_out)


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
        raise InputError(f"{_shown(member.orig_filename)}: is damaged ({error})") from error
    if size != member.file_size:
        found = "fewer" if size < member.file_size else "more"
        raise InputError(
            f"{_shown(member.orig_filename)}: unpacks to {found} than the {member.file_size} bytes it announces"
        )


def _open_file(path: Path) -> BufferedReader:
    try:
        kind = path.stat().st_mode
        if stat.S_ISDIR(kind):
            raise InputError(
                f"{path}: is a folder, not a zip file; pack it and set data.archive in params.yaml to the zip"
            )
        if not stat.S_ISREG(kind):
            raise InputError(f"{path}: is not a regular file; set data.archive in params.yaml to a zip file")
        return path.open("rb")
    except FileNotFoundError as error:
        advice = "set data.archive in params.yaml to your zip, or fetch the real data with the command in README"
        raise InputError(f"{path}: no such file; {advice}") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error


def _size_faults(
    members: Sequence[zipfile.ZipInfo], max_gigabytes: float, max_ratio: float
) -> Iterator[tuple[str | None, str]]:
    for member in members:
        ratio = member.file_size / max(member.compress_size, 1)
        if member.file_size > SMALL and ratio > max_ratio:
            rule = f"unpacks to {ratio:.0f} times its packed size, more than data.max_ratio = {max_ratio:g}"
            yield member.orig_filename, f"{rule}; {ADVICE}"
    total = sum(member.file_size for member in members) / 1e9
    if total > max_gigabytes:
        yield None, f"unpacks to {total:.3g} GB, more than data.max_gigabytes = {max_gigabytes:g}; {ADVICE}"


def _refuse(archive: zipfile.ZipFile, wrong: Sequence[str]) -> None:
    """Raise what is wrong, if anything is, as one error with a line for each."""
    lines = [f"{archive.filename or 'archive'}: {line}" for line in wrong[:MOST_LINES]]
    if len(wrong) > MOST_LINES:
        lines.append(f"… and {len(wrong) - MOST_LINES} more")
    if lines:
        raise InputError("\n".join(lines))


def _shown(name: str) -> str:
    """Give a member's name as it can be printed: control characters escaped, the middle of a long one left out."""
    quoted = repr(name)
    return f"member {quoted}" if len(quoted) <= 200 else f"member {quoted[:90]}…{quoted[-90:]}"
