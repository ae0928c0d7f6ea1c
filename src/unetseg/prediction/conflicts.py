"""What could spoil a folder of results: another process, an image in the place of a result, a name that is too long."""

import os
import platform
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from unetseg.errors import InputError
from unetseg.files import check_output
from unetseg.images.inputs import Input, real
from unetseg.images.names import ZARR
from unetseg.images.storage import Place

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

NOT_OURS = "is there already and not of an earlier run; move it or name another output"


@contextmanager
def locked(folder: Path, lock: Path) -> Iterator[None]:
    """Keep other processes out of a folder by a file; the system ends this with the process, however it dies.

    Raises:
        InputError: naming the folder and the process that holds it.
    """
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("a+", encoding="utf-8") as file:
        try:
            if fcntl:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            rule = f"{file.read() or 'another process'} is writing to it; wait for it or name another folder"
            raise InputError(f"{folder}: {rule}") from error
        except OSError:
            pass  # a file system without locks
        file.truncate(0)
        file.write(f"process {os.getpid()} on {platform.node()}")
        file.flush()
        yield


@contextmanager
def in_turn(folder: Path) -> Iterator[None]:
    """Wait until no other process is in such a block for a folder; the system ends this with the process."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # a file system without locks
            if fcntl:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def check_results(
    results: Mapping[Input, Sequence[Path]], out: Path, final: Callable[[Path], Place]
) -> dict[Input, str]:
    """Refuse images whose results would replace them, each other, or a folder; `final` tells where a file ends up.

    Returns:
        What is wrong with images whose results would have too long a name.

    Raises:
        InputError: naming the file.
    """
    too_long, limit = dict[Input, str](), _longest_name(out)
    images = {real(source.path) for source in results}
    written = set[Path]()
    for source, paths in results.items():
        if (length := max(len(os.fsencode(path.name)) for path in paths)) > limit:
            rule = f"the name of a result would have {length} bytes, the file system takes {limit}"
            too_long[source] = f"{source.path}: {rule}; shorten the image's name"
            continue
        for path in paths:
            check_output(path, "zarr.json" if path.suffix == ZARR else None)
            if real(final(path)) in images:
                raise InputError(f"{final(path)}: is an image and would be replaced by a result; choose another folder")
            if path in written:
                raise InputError(f"{final(path)}: would be the result of two images; predict them into two folders")
            written.add(path)
    for folder in {parent for path in written for parent in path.parents}:
        if folder in written or (folder.exists() and not folder.is_dir()):
            raise InputError(f"{folder}: would be a file and a folder of results; predict into two folders")
    return too_long


def check_ours(folder: Path, mark: str, outputs: Iterable[Path]) -> None:
    """Refuse to replace files of somebody else: of a folder that lacks `mark`, which every earlier run has left there.

    Raises:
        InputError: naming the first of `outputs` that is there already, or a file in the place of the folder.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: is no folder; name one to write to")
    if not (folder / mark).exists() and (path := next((path for path in outputs if path.exists()), None)):
        raise InputError(f"{path}: {NOT_OURS}")


def _longest_name(folder: Path) -> int:
    """Ask the file system that a folder is or will be on how many bytes a name may have."""
    there = next(each for each in (folder.resolve(), *folder.resolve().parents) if each.is_dir())
    try:
        return os.pathconf(there, "PC_NAME_MAX")
    except (OSError, ValueError):
        return 255
