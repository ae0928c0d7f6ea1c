"""Unpack zips and tars of images that are to be imported, safely."""

import lzma
import shutil
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from unetseg.config import LIMITS
from unetseg.dataset.archive import HEAD, MOST_LINES, open_zip, read_member
from unetseg.dataset.layout import is_clutter
from unetseg.dataset.members import INNER, faults, member_name, what_is
from unetseg.dataset.problems import attempt
from unetseg.errors import InputError
from unetseg.images.names import as_text

SMALL = 10**9  # bytes; images of masks may pack as well as a bomb does
DAMAGE = (tarfile.TarError, EOFError, ValueError, OverflowError, zlib.error, lzma.LZMAError)
UNSAFE: dict[type[tarfile.TarError], str] = {
    tarfile.AbsolutePathError: "is an absolute path",
    tarfile.OutsideDestinationError: "leads out of the archive",
    tarfile.SpecialFileError: "is a device, pipe or socket",
    tarfile.AbsoluteLinkError: "is a link to an absolute path",
    tarfile.LinkOutsideDestinationError: "is a link that leads out of the archive",
}
PACKED = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")


@contextmanager
def unpacked(source: Path, beside: Path) -> Iterator[tuple[Path, list[str]]]:
    """Give a folder or table as it is; unpack a zip or tar, and zips in it, for as long as the block lasts.

    Args:
        source: what to import.
        beside: the folder in which to unpack, on whose disk there is room.

    Yields:
        The source or the folder with its files, and a line for each zip in it that cannot be unpacked.

    Raises:
        InputError: naming the source, if there is none, or it is damaged, unsafe or would fill the disk.
    """
    if not source.exists():
        raise InputError(f"{source}: no such file or folder")
    if not source.is_dir() and not source.is_file():
        raise InputError(f"{source}: is neither a folder nor a regular file")
    if source.is_dir() or not source.name.lower().endswith(PACKED):
        yield source, []
        return
    with tempfile.TemporaryDirectory(dir=beside) as name:
        folder, problems = Path(name), list[str]()
        unpack = _unpack_zip if source.suffix.lower() == ".zip" else _unpack_tar
        unpack(source, folder)
        for inner in sorted(file for file in folder.rglob("*") if file.suffix.lower() == ".zip" and file.is_file()):
            problems += attempt(_unpack_inner, inner)[1]
        yield folder, problems


def _unpack_inner(path: Path) -> None:
    """Put a folder in the place of a zip, unless it holds ROIs; one that cannot be unpacked is removed."""
    target = path.with_suffix("")
    with path.open("rb") as file:
        archive, problems = attempt(open_zip, file)
        members = _members(archive) if archive else []
        if archive and (not members or any(member.filename.lower().endswith(".roi") for member in members)):
            return
    if archive and target.exists():
        problems = [f"{path}: is not unpacked, as {target.name} stands beside it; rename one"]
    elif archive:
        _, problems = attempt(_unpack_zip, path, target)
        if problems:
            shutil.rmtree(target, ignore_errors=True)
    path.unlink()
    if problems:
        raise InputError(*problems)


def _unpack_zip(path: Path, folder: Path) -> None:
    with path.open("rb") as file, open_zip(file) as archive:
        members = _members(archive)
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
                try:
                    stream.writelines(read_member(archive, member))
                except InputError as error:
                    raise InputError(f"{path}: {error}") from error


def _members(archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    return [member for member in archive.infolist() if not is_clutter(member_name(member))]


def _unpack_tar(path: Path, folder: Path) -> None:
    try:
        with tarfile.open(path) as archive:
            members = [member for member in archive if not is_clutter(member.name)]
            if wrong := _too_much(path, [member.size for member in members]):
                raise InputError(f"{path}: {wrong[0]}")
            archive.extractall(folder, members, filter="data")
    except InputError:
        raise
    except KeyError as error:
        raise InputError(f"{path}: holds a link to a file that it does not hold ({error.args[0]})") from error
    except OSError as error:
        member = f"{str(error.filename).removeprefix(f'{folder}/')}: " if error.filename else ""
        raise InputError(f"{path}: cannot be unpacked: {member}{error.strerror or error}") from error
    except DAMAGE as error:
        with path.open("rb") as file:
            head = file.read(HEAD)
        told = f"is not a tar file but {what_is(head)}"
        if isinstance(error, tarfile.FilterError):
            told = f"cannot be unpacked safely: {error.tarinfo.name!r} {UNSAFE.get(type(error), error)}"
        elif head.startswith((b"\x1f\x8b", b"BZh", b"\xfd7zXZ")) or head[257:262] == b"ustar":
            told = f"is cut off or damaged ({str(error).partition(':')[0]}); download or pack it again"
        raise InputError(f"{path}: {told}") from error


def _too_much(path: Path, sizes: Sequence[int]) -> list[str]:
    """Refuse what would fill the disk."""
    lines = []
    if len(sizes) > LIMITS["max_members"]:
        lines.append(f"holds {len(sizes):,} members; at most {LIMITS['max_members']:,} are unpacked")
    total, packed = sum(sizes), path.stat().st_size
    if total > min(LIMITS["max_gigabytes"] * 10**9, max(LIMITS["max_ratio"] * packed, SMALL)):
        lines.append(f"unpacks from {packed / 1e9:.3g} to {total / 1e9:.3g} GB; unpack it yourself if you trust it")
    return lines


def source_name(source: Path) -> str:
    """Name a source as people would: without the suffix of an archive."""
    name = as_text(source.resolve().name)
    return next((name[: -len(suffix)] for suffix in PACKED if name.lower().endswith(suffix)), name)
