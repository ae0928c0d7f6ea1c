"""Files on any storage that fsspec knows, such as `s3://…`."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from unetseg.errors import InputError

Place = Path | str  # a path, or the URL of what is not on a disk


def place(word: str) -> Place:
    """Turn a word of the user into a path or a URL; `file://…` is a path."""
    if word.startswith("file://"):
        return Path(unquote(urlsplit(word).path))
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


def state(url: str) -> list[str]:
    """Describe the present content of a file, to tell when it has changed.

    Raises:
        InputError: if it cannot be read.
    """
    system, path = storage(url)
    with told(url):
        known = system.info(path)
    changed = next((known[name] for name in ("ETag", "mtime", "created", "LastModified") if known.get(name)), None)
    return [str(known.get("size")), str(changed)]


@contextmanager
def told(url: str) -> Iterator[None]:
    """Turn what a storage raises, which is of many kinds, into an `InputError` that names the URL."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"{url}: cannot be used: {str(error) or type(error).__name__}") from error
