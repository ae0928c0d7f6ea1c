"""Which samples belong together (one patient, slide or plate), as the user says."""

import csv
from collections.abc import Collection
from pathlib import Path
from typing import Any

from unetseg.config import DataSettings
from unetseg.dataset.layout import GROUPS, nfc
from unetseg.errors import InputError
from unetseg.files import read_csv, read_text

COLUMNS = ("group", "patient", "slide", "plate")  # samples that share a value in one of them belong together
STACK = "stack"  # the file of planes, noted by `unetseg import`: they, and what is found beside them, belong together
ALL_COLUMNS = (*COLUMNS, "experiment", STACK)

Rows = list[dict[str, str]]


def find_groups(data: DataSettings, archive: Path, samples: Path, ids: Collection[str]) -> Rows:
    """Read the table `data.groups`, or where that has no rows the archive's own, extracted with the samples.

    Returns:
        The rows, as `read_groups` gives them.

    Raises:
        InputError: as `read_groups` does; and if a table beside the archive would be overlooked.
    """
    given, beside = Path(data.groups), archive.with_name(GROUPS)
    if beside.is_file() and not (given.is_file() and given.samefile(beside)):
        raise InputError(f"{beside}: is beside the archive, where DVC does not watch it; set data.groups to this path")
    if not given.is_file():
        there = "is no file" if given.exists() else "no such file"
        rule = "data.groups has to name a table, of a header alone (id,group) for none"
        raise InputError(f"{given}: {there}; {rule}")
    if rows := read_groups(given, ids):
        return rows
    try:
        return own_groups(samples, ids)
    except InputError as error:  # what was extracted is not what can be mended
        own = samples / GROUPS
        raise InputError(*(line.replace(f"{own}:", f"{archive}: {GROUPS}:") for line in error.args)) from error


def own_groups(samples: Path, ids: Collection[str]) -> Rows:
    """Read the table that an archive may hold, extracted with its samples, as `read_groups` does; no rows if none."""
    own = samples / GROUPS
    return read_groups(own, ids) if own.is_file() else []


def read_groups(path: Path, ids: Collection[str]) -> Rows:
    """Read a table of groups: a CSV file with a column `id` and at least one of `ALL_COLUMNS`.

    Returns:
        A row for each of the samples `ids`, as `read_rows` gives them; none if the file has only a header.

    Raises:
        InputError: with one line per problem: missing columns; unknown, repeated or missing ids; values too many.
    """
    rows, repeated = read_rows(path)
    listed = {row["id"] for row in rows} | repeated.keys()
    problems = [f"{path}: {name}: there is no such sample; remove its row" for name in sorted(listed - {*ids})]
    problems += repeated.values()
    missing = sorted({*ids} - listed) if listed else []
    problems += [f"{path}: {name}: this sample has no row; add one" for name in missing]
    if problems:
        raise InputError(*problems)
    return rows


def read_rows(path: Path, columns: Collection[str] = ALL_COLUMNS) -> tuple[Rows, dict[str, str]]:
    """Read a table of samples: a CSV file with a column `id` and at least one of `columns`.

    Returns:
        The rows that can be used, names and values in one Unicode form without needless spaces, `id` and `columns` in
        small letters, however they are written. And by their ids a line for each sample whose row cannot: it has
        several, or more values than there are columns.

    Raises:
        InputError: if it is no such file.
    """
    rows: dict[str, dict[str, str]] = {}
    problems: dict[str, str] = {}
    read: list[dict[Any, Any]] = [*read_csv(path)]
    first = next(iter(read_text(path).strip().splitlines()), "")
    known = {"id", *columns}
    named = [_column(name, known) for name in next(csv.reader([first]), [])]
    header = [_column(name, known) for name in read[0]] if read else named
    if twice := sorted(name for name in known if named.count(name) > 1):
        raise InputError(f"{path}: has several columns {twice[0]}; keep one")
    if "id" not in header or not {*columns} & {*header}:
        wanted = f"at least one of {', '.join(columns)}" if len(columns) > 1 else ", ".join(columns)
        raise InputError(
            f"{path}: it needs a header with id and {wanted}, then one row per sample"
            f"; its header is {first!r:.100}, and names are separated by commas"
        )
    for row in read:
        more = row.pop(None, [])  # csv's name for the values without one
        values = {_column(name, known): _one_form(value) for name, value in row.items() if name}
        name = values["id"] = next(nfc(row[key] or "").strip() for key in row if _column(key, known) == "id")
        if any(more):
            problems[name] = f"{path}: {name}: has more values than the header has columns; quote commas in values"
        elif name in rows:
            problems[name] = f"{path}: {name}: has several rows; keep one"
        rows[name] = values
    return [row for name, row in rows.items() if name not in problems], problems


def _column(name: str | None, known: Collection[str]) -> str:
    """Name a column of a header: one that is known, in small letters."""
    return small if (small := _one_form(name).casefold()) in known else _one_form(name)


def _one_form(value: str | None) -> str:
    """Give a value the Unicode form of the samples' ids, without spaces around it or doubled inside."""
    return " ".join(nfc(value or "").split())
