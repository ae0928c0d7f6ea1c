"""Unpack zips and tars of images that are to be imported, safely."""

import tarfile
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from unetseg.dataset.archive import open_zip, read_member
from unetseg.dataset.members import INNER, faults, member_name
from unetseg.errors import InputError

MOST_MEMBERS = 1_000_000
MOST_BYTES = 200 * 10**9
MOST_RATIO = 200
SMALL = 10**9  # bytes; images of masks may pack as well as a bomb does
MOST_LINES = 20
PACKED = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")


@contextmanager
def unpacked(source: Path, beside: Path) -> Iterator[Path]:
    """Give a folder or table as it is; unpack a zip or tar, and zips in it, for as long as the block lasts.

    They are unpacked beside the file `beside`, on whose disk there is room.

    Raises:
        InputError: naming the source, if there is none, or it is damaged, unsafe or would fill the disk.
    """
    if not source.exists():
        raise InputError(f"{source}: no such file or folder")
    if source.is_dir() or not source.name.lower().endswith(PACKED):
        yield source
        return
    with tempfile.TemporaryDirectory(prefix=".import-", dir=beside.parent) as folder:
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
            if wrong := _too_much(path, [member.size for member in archive]):
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


def source_name(source: Path) -> str:
    """Name a source as people would: without the suffix of an archive."""
    name = source.resolve().name
    return next((name[: -len(suffix)] for suffix in PACKED if name.lower().endswith(suffix)), name)
