"""The list of the files that `unzip` wrote, in place of their folder: they are too many for DVC to look at each."""

import csv
import os
import zlib
from collections.abc import Iterator, Mapping
from itertools import groupby
from pathlib import Path

from unetseg.dataset.archive import Contents
from unetseg.dataset.layout import is_clutter_here
from unetseg.errors import InputError
from unetseg.files import unescaped, write_csv

AGAIN = (
    "`dvc repro --force --single-item unzip` unpacks it again, without what is not in the archive: "
    "make changes in the archive"
)


def write_listing(path: Path, contents: Contents) -> None:
    """List the files to be extracted with their sizes and checksums, and empty folders; equal lists are equal samples.

    The rows are sorted by path, so that those of a sample follow each other.
    """
    members = contents.members
    filled = {path[: path.rfind("/") + 1] for path in members if not path.endswith("/")}
    listed = sorted(path for path in members if path not in filled)
    rows = ({"path": each, "bytes": members[each].file_size, "crc32": f"{members[each].CRC:08x}"} for each in listed)
    write_csv(path, rows, ["path", "bytes", "crc32"])


def check_listed(samples: Path, listing: Path) -> None:
    """Refuse samples whose files are not those of the list.

    Of files that came here before the list the name and the size are compared, of others, whatever time they say that
    they were written, the checksum too.

    Raises:
        InputError: naming the first difference.
    """
    if differences := list(_differences(samples, listing)):
        told = f"{differences[0]} (differences from {listing}: {len(differences)})"
        raise InputError(f"{samples}: is not as it was unpacked: {told}; {AGAIN}")


def _differences(samples: Path, listing: Path) -> Iterator[str]:
    written, names = listing.stat().st_mtime_ns, {path.name for path in samples.iterdir()}
    with listing.open(encoding="utf-8", newline="") as file:
        rows = ({**row, "path": unescaped(row["path"])} for row in csv.DictReader(file))
        for name, of_sample in groupby(rows, lambda row: row["path"].split("/")[0]):
            names.discard(name)
            wanted, there = {row["path"]: row for row in of_sample}, {*_found(samples, name)}
            yield from (f"{path} is missing" for path in wanted if path not in there)
            yield from (f"{path} is not in the archive" for path in sorted(there - wanted.keys()))
            for path in there & wanted.keys():
                if not path.endswith("/") and _is_changed(f"{samples}/{path}", wanted[path], written):
                    yield f"{path} was changed"
    yield from (f"{name} is not in the archive" for name in sorted(names) if not is_clutter_here(name))


def _found(samples: Path, name: str) -> Iterator[str]:
    """Give the files below a sample's folder, and those of its folders that are empty, with `/` at their end."""
    if (samples / name).is_file():
        yield name
    for folder, inner, files in os.walk(samples / name, followlinks=True):
        inner[:] = [each for each in inner if not is_clutter_here(each)]
        place = Path(folder).relative_to(samples).as_posix()
        kept = [f"{place}/{file}" for file in files if not is_clutter_here(file)]
        yield from kept or ([] if inner else [f"{place}/"])


def _is_changed(file: str, row: Mapping[str, str], written: int) -> bool:
    now = os.stat(file)  # noqa: PTH116 - a Path for each takes longer than the rest
    if now.st_size != int(row["bytes"]):
        return True
    came = max(now.st_mtime_ns, now.st_ctime_ns)
    return came > written and f"{zlib.crc32(Path(file).read_bytes()):08x}" != row["crc32"]
