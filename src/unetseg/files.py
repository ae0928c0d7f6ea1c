"""Write files that are either complete or absent: write beside the target, fsync, rename."""

import codecs
import contextlib
import csv
import errno
import functools
import hashlib
import io
import json
import os
import platform
import re
import secrets
import shutil
import stat
import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

import psutil

from unetseg.errors import InputError

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}  # the disk, the user's share of it, or what a file may hold
SHORT = re.compile(r"\d+ requested and \d+ written")  # what NumPy says of a full disk, without a number of the error
NO_SYNC = {errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP}  # of a folder, on some network file systems
COMPUTER = f".unetseg-{hashlib.sha256(platform.node().encode()).hexdigest()[:8]}-"  # of workspaces, with the process
PROCESS = secrets.token_hex(4)
NOTHING = 22  # bytes of a zip without members
FORMULA = re.compile(r"'*[=+\-@\t\r]")  # text that a spreadsheet takes for a formula, or that `cell` escaped


def check_output(path: Path, holding: str | None = None) -> None:
    """Refuse an output in whose place stands something that it must not replace. Commands call this before they work.

    Args:
        path: the file or folder to be written.
        holding: None for a file; for a folder a file that every such folder holds, by which an older one is known.

    Raises:
        InputError: if the output is a file and `path` something else, or a folder and `path` neither empty nor like it.
    """
    if not path.exists():
        return
    if holding is None:
        if not path.is_file():
            raise InputError(f"{path}: is {'a folder' if path.is_dir() else 'no regular file'}; name another output")
    elif not (path.is_dir() and ((path / holding).is_file() or not any(path.iterdir()))):
        raise InputError(f"{path}: is there already and holds no {holding}; name another output")


def is_there(path: Path) -> bool:
    """Tell whether a path leads to something; one with a name that the file system does not take leads to nothing."""
    return os.path.exists(path)  # noqa: PTH110 - that of Path raises for a long name


def check_sources(path: Path, sources: Iterable[Path]) -> None:
    """Refuse an output in whose place stands one of the files that it is made of.

    Raises:
        InputError: naming it.
    """
    if path.exists() and any(source.exists() and source.samefile(path) for source in sources):
        raise InputError(f"{path}: is a source, which is not replaced; name another file in --out")


def check_lost(folder: Path, new: Path) -> None:
    """Refuse a folder to be replaced if it holds a file that the new one lacks.

    Raises:
        InputError: naming the file.
    """
    for file in folder.rglob("*"):
        if (file.is_symlink() or not file.is_dir()) and not (new / file.relative_to(folder)).exists():
            raise InputError(f"{file}: is not of an earlier run and would be lost; move it or name another output")


@contextlib.contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Give a path beside `path` to write a file or a folder to, and rename it to `path` when the block ends well.

    A reader sees the old content, the new content or nothing, never a part; after an exception nothing stays.

    Args:
        path: the file or folder to make. Its parent folders are made. A file replaces a file alone, and a folder only
            a folder all of whose files it holds, too: whatever else stands there is not of an earlier run.

    Raises:
        InputError: if something else stands there; then it is as it was.
        OSError: naming `path`, if it cannot be written.
    """
    path = path if path.name not in {"", ".."} else path.resolve()
    path.parent.mkdir(parents=True, exist_ok=True)
    workspace = _make_workspace(path.parent, path)
    beside, old = workspace / path.name, workspace / "old"
    try:
        yield beside
        if beside.is_dir():
            os.sync()  # once for all: an fsync for each of 30,000 small files takes minutes
            if path.is_dir():
                check_lost(path, beside)
                path.rename(old)
        else:
            check_output(path)
            _fsync(beside)
        beside.replace(path)
        _fsync(path.parent)
    except OSError as error:
        number = error.errno or (errno.ENOSPC if is_full(error) else None)  # NumPy gives none
        if number and (not error.filename or str(workspace) in str(error.filename)):  # no name, or of no meaning
            raise OSError(number, error.strerror or os.strerror(number), str(path)) from error
        raise
    finally:
        if old.exists() and not path.exists():  # stopped in between
            old.replace(path)
        shutil.rmtree(workspace, ignore_errors=True)


def is_full(error: OSError) -> bool:
    """Tell whether an error means that nothing more can be written."""
    return error.errno in FULL or (error.errno is None and SHORT.search(str(error)) is not None)


@contextlib.contextmanager
def scratch_folder(parent: Path) -> Iterator[Path]:
    """Give an empty folder below `parent`, of a name that no other process takes, and remove it when the block ends.

    What killed processes left there is removed, too, and so are folders that were made for it and stay empty.

    Raises:
        OSError: naming `parent`, if nothing can be written there.
    """
    made = [each for each in (parent, *parent.parents) if not each.exists()]
    parent.mkdir(parents=True, exist_ok=True)
    folder = _make_workspace(parent, parent)
    try:
        yield folder
    except OSError as error:
        if error.errno and str(folder) in str(error.filename):  # a name of no meaning
            raise OSError(error.errno, error.strerror, str(parent)) from error
        raise
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        with contextlib.suppress(OSError):  # there are results
            for each in made:
                each.rmdir()


def write_text(path: Path, text: str) -> None:
    """Write a text file completely or not at all."""
    with atomic_path(path) as beside:
        beside.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write indented JSON with a final newline, readable for people and `git diff`."""
    write_text(path, json.dumps(content, indent=2, allow_nan=False) + "\n")


def write_csv(path: Path, rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> None:
    """Write rows as CSV with a header; floats are written exactly, `None` as an empty field.

    Text that a spreadsheet would take for a formula gets a leading apostrophe, which `read_csv` takes away.
    """
    with atomic_path(path) as beside, beside.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows({name: _cell(value) for name, value in row.items()} for row in rows)


@contextlib.contextmanager
def open_text(path: Path) -> Iterator[TextIO]:
    """Open a text file from outside, with its line ends: UTF-8, or UTF-16 that says so by its first two bytes.

    Raises:
        InputError: where what is read of it is neither.
    """
    with path.open("rb") as file:
        head, encoding = file.peek(3), "utf-8"  # utf-8-sig takes a part of its mark for an empty file
        if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            encoding = "utf-16"
        elif head.startswith(codecs.BOM_UTF8):
            encoding = "utf-8-sig"
        try:
            yield io.TextIOWrapper(file, encoding, newline="")
        except UnicodeDecodeError as error:
            raise InputError(f"{path}: is not UTF-8 text; save it again as UTF-8") from error


def read_text(path: Path) -> str:
    """Read a text file from outside whole; errors are those of `open_text`."""
    with open_text(path) as file:
        return file.read()


def read_csv(path: Path, columns: Collection[str] | None = None) -> list[dict[str, str]]:
    """Read the rows of a CSV file, as `iter_csv` gives them."""
    return list(iter_csv(path, columns))


def iter_csv(path: Path, columns: Collection[str] | None = None) -> Iterator[dict[str, str]]:
    """Give one row of a CSV file after the other, with the columns asked for or all of them, every value as text.

    Raises:
        InputError: naming the line from which it cannot be read.
    """
    shared = functools.lru_cache(maxsize=1024)(unescaped)  # most values stand in many rows
    with open_text(path) as file:
        reader = csv.DictReader(file, strict=True)
        try:
            for row in reader:
                yield {
                    name: shared(value) if isinstance(value, str) else value
                    for name, value in row.items()
                    if columns is None or name in columns
                }
        except csv.Error as error:
            raise InputError(f"{path}:{reader.line_num}: is not usable CSV: {error}") from error


def unescaped(text: Any) -> Any:
    """Take away the apostrophe that `write_csv` put before text that a spreadsheet would take for a formula."""
    return text[1:] if isinstance(text, str) and text.startswith("'") and FORMULA.match(text) else text


def sha256(*paths: Path) -> str:
    """Hash the contents of files, in the order given, to one hexadecimal digest.

    Raises:
        InputError: if one is a device, a pipe or a folder: some devices never end.
    """
    digest = hashlib.sha256()
    for path in paths:
        if not stat.S_ISREG(path.stat().st_mode):
            raise InputError(f"{path}: is not a regular file")
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def hash_all(path: Path) -> str:
    """Hash a file, or all files of a folder that is one image."""
    return sha256(*(sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]))


def is_empty_zip(path: Path) -> bool:
    """Tell a zip without any member, which stands for no archive where params.yaml has to name one."""
    return path.is_file() and path.stat().st_size == NOTHING


def _cell(value: Any) -> Any:
    if isinstance(value, str) and FORMULA.match(value):
        try:
            float(value)
        except ValueError:
            return f"'{value}"
    return value


def _make_workspace(folder: Path, output: Path) -> Path:
    """Make a folder to write in, of a name that no other process takes; an error names the output."""
    _remove_workspaces(folder.resolve(), os.getpid())
    try:
        return Path(tempfile.mkdtemp(prefix=f"{COMPUTER}{os.getpid()}-{PROCESS}-", suffix=".partial", dir=folder))
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(output)) from error


@functools.lru_cache(maxsize=1024)  # once per process and folder: a folder of results may hold 100,000 files
def _remove_workspaces(folder: Path, process: int) -> None:
    """Remove what killed processes of this computer left in a folder; those of others cannot be asked for."""
    for left in folder.glob(f"{COMPUTER}*.partial"):
        number, token, *_ = [*left.name.removeprefix(COMPUTER).split("-"), ""]
        mine = number == str(process) and token == PROCESS
        others = number.isdigit() and int(number) != process and psutil.pid_exists(int(number))
        if not mine and not others:
            shutil.rmtree(left, ignore_errors=True)


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in NO_SYNC:
            raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        os.close(descriptor)
