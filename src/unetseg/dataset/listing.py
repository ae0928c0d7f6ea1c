"""The list of the files that `unzip` wrote, in place of their folder: they are too many for DVC to look at each."""

import csv
import os
from collections.abc import Iterator
from pathlib import Path

from unetseg.dataset.archive import Contents
from unetseg.dataset.layout import is_clutter_here
from unetseg.errors import InputError
from unetseg.files import unescaped, write_csv

AGAIN = "`dvc repro --force --single-item unzip` unpacks them again; changes belong into the archive"


def write_listing(path: Path, contents: Contents) -> None:
    """List the files to be extracted with their sizes and checksums, sorted; equal lists mean equal samples."""
    files = sorted((file, member) for file, member in contents.members.items() if not file.endswith("/"))
    rows = ({"path": file, "bytes": member.file_size, "crc32": f"{member.CRC:08x}"} for file, member in files)
    write_csv(path, rows, ["path", "bytes", "crc32"])


def check_listed(samples: Path, listing: Path) -> None:
    """Refuse samples whose files are not those of the list, by name and size.

    Raises:
        InputError: naming the first difference.
    """
    if differences := list(_differences(samples, listing)):
        told = f"{differences[0]}; {len(differences)} differences from {listing} in all"
        raise InputError(f"{samples}: is not as it was unpacked: {told}; {AGAIN}")


def _differences(samples: Path, listing: Path) -> Iterator[str]:
    expected = 0
    with listing.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            path = unescaped(row["path"])
            try:
                size = os.stat(f"{samples}/{path}").st_size  # noqa: PTH116 - a Path for each takes longer than the rest
            except FileNotFoundError:
                yield f"{path} is missing"
                continue
            expected += 1
            if size != int(row["bytes"]):
                yield f"{path} has {size} bytes, not {row['bytes']}"
    there = sum(not is_clutter_here(name) for _, _, names in os.walk(samples) for name in names)
    if there != expected:
        yield f"{there - expected} files more are there"
