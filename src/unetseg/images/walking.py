"""Walk through a folder: links are followed, no folder is searched twice, and what cannot be read is told."""

import errno
import stat
from collections import Counter
from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet
from pathlib import Path

from unetseg.images.names import ZARR


def walk(
    base: Path,
    is_clutter: Callable[[str], bool],
    failed: list[str],
    left_out: Counter[str],
) -> Iterator[tuple[Path, AbstractSet[str]]]:
    """Find the files below a folder, and the folders that are one image; real folders before those behind links.

    Args:
        base: the folder.
        is_clutter: tells by its name a file to leave out, or a folder with all that it holds.
        failed: takes a line for each link or folder that cannot be read.
        left_out: takes how many files are clutter or not regular, and how many links lead to a folder searched before.

    Yields:
        Each file, and the stems of all that stands beside it.
    """
    folders, links, seen = [base], list[Path](), set[tuple[int, int]]()
    while folders or links:
        folder = folders.pop() if folders else links.pop()
        try:
            status, paths = folder.stat(), sorted(folder.iterdir())
        except OSError as error:
            failed.append(f"{folder}: cannot be read: {error.strerror}")
            continue
        if (status.st_dev, status.st_ino) in seen:
            left_out["link to a folder that was searched"] += 1
            continue
        seen.add((status.st_dev, status.st_ino))
        stems = {path.stem for path in paths}
        for path in paths:
            clutter = is_clutter(path.name)
            mode = kind(path, [] if clutter else failed)
            if is_image_or_file(path, mode) and not clutter:
                yield path, stems
            elif mode and not stat.S_ISDIR(mode):
                left_out["hidden" if clutter else "no regular files"] += 1
            elif mode and not clutter:
                (links if path.is_symlink() else folders).append(path)


def kind(path: Path, failed: list[str]) -> int:
    """Give the kind and permissions of a file, links followed; or 0 after noting in `failed` why it cannot be told."""
    try:
        return path.stat().st_mode
    except OSError as error:
        lost = path.is_symlink() and error.errno == errno.ENOENT
        reason = "it is a link to a file that is not there" if lost else error.strerror
        failed.append(f"{path}: cannot be read: {reason}")
        return 0


def is_image_or_file(path: Path, mode: int) -> bool:
    """Tell a regular file, or a folder that is one image, by its kind as `kind` gives it."""
    return stat.S_ISREG(mode) or (stat.S_ISDIR(mode) and path.suffix.lower() == ZARR)
