"""Write files that are either complete or absent: write beside the target, fsync, rename."""

import contextlib
import csv
import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}  # the disk, the user's share of it, or what a file may hold


@contextlib.contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Give a path beside `path` to write a file or a folder to, and rename it to `path` when the block ends well.

    A reader sees the old content, the new content or nothing, never a part; after an exception nothing stays.

    Args:
        path: the file or folder to make. Its parent folders are made; an older one is replaced.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    workspace = path.with_name(f".{path.name}.partial")  # one name a target: what a kill left is found and removed
    shutil.rmtree(workspace, ignore_errors=True)
    workspace.mkdir()
    beside = workspace / path.name
    try:
        yield beside
        if beside.is_dir():
            os.sync()  # once for all: an fsync for each of 30,000 small files takes minutes
        else:
            _fsync(beside)
        if path.is_dir() and not path.is_symlink():
            path.rename(workspace / "old")
        beside.replace(path)
        _fsync(path.parent)
    except OSError as error:
        if error.errno in FULL:  # told by the system without a name, or with that of a file that is gone
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise
    finally:
        shutil.rmtree(workspace, ignore_errors=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file completely or not at all."""
    with atomic_path(path) as beside:
        beside.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write indented JSON with a final newline, readable for people and `git diff`."""
    write_text(path, json.dumps(content, indent=2, allow_nan=False) + "\n")


def write_csv(path: Path, rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> None:
    """Write rows as CSV with a header; floats are written exactly, `None` as an empty field."""
    with atomic_path(path) as beside, beside.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def read_csv(path: Path) -> list[dict[str, str]]:
    """Read the rows of a CSV file, every value as text."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def sha256(*paths: Path) -> str:
    """Hash the contents of files, in the order given, to one hexadecimal digest."""
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
