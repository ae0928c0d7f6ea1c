"""JSON of other programs: read it with one-line errors, and write lists that need not fit in memory."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from unetseg.annotations.writing import Add
from unetseg.errors import InputError
from unetseg.objects.strips import FoundObject, Strip


def load_json(path: Path) -> Any:
    """Read a JSON file in UTF-8, with or without a byte order mark.

    Raises:
        InputError: naming the file, if it cannot be read.
    """
    try:
        return json.loads(path.read_bytes().decode("utf-8-sig"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: is not JSON ({error})") from error


def objects_of(items: Any, what: str) -> list[dict[str, Any]]:
    """Take a list of JSON objects as it is.

    Raises:
        ValueError: naming the first item that is no object, from 1, or what is no list; `what` is what it should hold.
    """
    if not isinstance(items, list):
        raise ValueError(f"its {what} are {items!r:.40}, no list")
    for number, item in enumerate(items, 1):
        if not isinstance(item, dict):
            raise ValueError(f"number {number} of its {what} is {item!r:.40}, no object of JSON")
    return items


def list_writer(file: TextIO) -> Callable[[dict[str, Any]], None]:
    """Return a function that writes the next item of a JSON list on a line of its own."""
    before = "\n"

    def write(item: dict[str, Any]) -> None:
        nonlocal before
        file.write(before + json.dumps(item))
        before = ",\n"

    return write


@contextmanager
def write_objects(
    path: Path, head: dict[str, Any], key: str, describe: Callable[[FoundObject], dict[str, Any]]
) -> Iterator[Add]:
    """Write a JSON object: `head`, and below `key` the list of an image's objects as `describe` puts them.

    Yields:
        A function that takes the next strip.
    """
    with path.open("w", encoding="utf-8") as file:
        file.write(f'{json.dumps(head)[:-1]}, "{key}": [')
        write = list_writer(file)

        def add(strip: Strip) -> None:
            for found in strip.objects:
                write(describe(found))

        yield add
        file.write("\n]}\n")
