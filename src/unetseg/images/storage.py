"""Files on any storage that fsspec knows, such as `s3://…`."""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from glob import has_magic
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote

from unetseg.errors import InputError
from unetseg.files import hash_all
from unetseg.images.names import SUFFIXES, ZARR, is_clutter, is_named_mask, is_of_masks

# what storages call the mark or the time of a file's last change; the last three: Azure, HTTP, WebHDFS
CHANGED = ("ETag", "mtime", "created", "LastModified", "last_modified", "Last-Modified", "modificationTime")

Place = Path | str  # a path, or the URL of what is not on a disk


def place(word: str) -> Place:
    """Turn a word of the user into a path or a URL; `file://…` is a path.

    Raises:
        InputError: if it is empty, which would stand for the present folder, or a file's URL of another computer.
    """
    if not word:
        raise InputError("'': is empty; name a file or folder")
    if word.startswith("file://"):
        host, slash, path = word.removeprefix("file://").partition("/")
        if host not in ("", "localhost") or not slash:
            raise InputError(
                f"{word}: names a computer, {host!r}; a file's URL begins with file:/// and is a whole path"
            )
        return Path(unquote(f"/{path}"))
    return word.rstrip("/") if "://" in word else Path(word)


def storage(url: str) -> tuple[Any, str]:
    """Give fsspec's file system of a URL, and the path in it.

    Raises:
        InputError: naming the URL, if the package for this storage is missing (`pip install 'unetseg[dask]'` has that
            of S3), or the URL is malformed.
    """
    with told(url):
        import fsspec  # noqa: PLC0415 - an extra

        system, path = fsspec.url_to_fs(url)
    return system, str(path)


def find_urls(word: str, results: Collection[Place], left_out: Counter[str]) -> dict[Place, str]:
    """Find the images that a URL names; see `unetseg.images.inputs.find_inputs`.

    Args:
        word: the URL of a file, a folder or an OME-Zarr, or a pattern of URLs.
        results: URLs of files that an earlier run wrote, which are no images.
        left_out: takes how many files are no images to predict, by the reason.

    Returns:
        What to call each image, by its URL.

    Raises:
        InputError: naming the URL, if the storage cannot be used.
    """
    system, root = storage(word)
    with told(word):
        one = PurePosixPath(root).suffix.lower() == ZARR or system.isfile(root) or is_zarr_image(word)
        paths = [root] if one else system.glob(root) if has_magic(root) else system.find(root)
    searched, base = not one and not has_magic(root), PurePosixPath(root)
    deep = searched or (not one and "**" in base.parts)
    if not searched:
        base = next(folder for folder in base.parents if not has_magic(str(folder)))
    if deep:  # of an OME-Zarr below the folder, it alone
        outer = {_outermost_zarr(path, len(str(base))) for path in paths}
        paths = outer if searched else outer.intersection(paths)
    whole = set(map(PurePosixPath, paths)) - {base}
    stems: dict[PurePosixPath, set[str]] = defaultdict(set)
    for path in whole:
        stems[path.parent].add(path.stem)
    kept = dict[Place, str]()
    for path in sorted(whole):
        url, name = system.unstrip_protocol(str(path)), path.relative_to(base)
        folders = (each.name for each in stems if each.parent == path.parent.parent)
        if any(system.unstrip_protocol(str(each)) in results for each in (path, *path.parents)):
            left_out["results of an earlier run"] += 1
        elif is_clutter(name.parts):
            left_out["hidden"] += 1
        elif searched and (is_named_mask(path, stems[path.parent]) or is_of_masks(path.parent.name, folders)):
            left_out["masks of images"] += 1
        elif path.suffix.lower() not in SUFFIXES and (deep or not is_zarr_image(url)):
            left_out[path.suffix.lower() or "without a suffix"] += 1
        else:
            kept[url] = name.as_posix()
    return kept


def _outermost_zarr(path: str, start: int) -> str:
    """Give the first OME-Zarr on the way to a path from a folder of `start` letters, or the path itself."""
    found = re.compile(r"\.zarr(?=/)", re.IGNORECASE).search(path, start)
    return path[: found.end()] if found else path


def is_zarr_image(folder: Place) -> bool:
    """Tell an OME-Zarr image by its metadata, whatever the folder is named.

    Raises:
        InputError: naming the URL, if the storage cannot be used.
    """
    for name in ("zarr.json", ".zattrs"):
        with told(str(folder)), suppress(OSError, ValueError, AttributeError):  # absent, or of something else
            attributes = json.loads(_read(folder, name))
            attributes = attributes.get("attributes", attributes)
            if attributes.get("ome", attributes).get("multiscales"):
                return True
    return False


def _read(folder: Place, name: str) -> bytes:
    if isinstance(folder, Path):
        return (folder / name).read_bytes()
    system, path = storage(folder)
    return bytes(system.cat_file(f"{path}/{name}"))


def state(image: Place) -> list[Any]:
    """Describe the present content of an image, to tell when it has changed.

    Raises:
        InputError: if what is at a URL cannot be read.
        OSError: if a file cannot.
    """
    if isinstance(image, Path):  # a folder that is one image changes with each file in it
        found = [each.stat() for each in (image, *image.rglob("*"))]
        last = [max(getattr(each, name) for each in found) for name in ("st_mtime_ns", "st_ctime_ns")]
        return [sum(each.st_size for each in found), *last]
    system, path = storage(image)
    with told(image):
        known = system.info(path)
    changed = next((known[name] for name in CHANGED if known.get(name)), None)
    return [str(known.get("size")), str(changed)]


def content(image: Place) -> str | list[Any]:
    """Hash an image, so that a copy of it is known wherever it lies; at a URL its state has to do.

    Raises:
        InputError, OSError: as `state` does.
    """
    return _hash(image, *state(image)) if isinstance(image, Path) else state(image)


@lru_cache(maxsize=64)  # once for all planes of a stack
def _hash(image: Path, *_state: int) -> str:
    return hash_all(image)


@contextmanager
def told(url: str) -> Iterator[None]:
    """Turn what a storage raises, which is of many kinds, into an `InputError` that names the URL."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"{url}: cannot be used: {str(error) or type(error).__name__}") from error
