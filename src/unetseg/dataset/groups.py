"""Which samples belong together (one patient, slide or plate), as the user says."""

import unicodedata
from collections import Counter
from collections.abc import Collection
from pathlib import Path

from unetseg.config import DataSettings
from unetseg.errors import InputError
from unetseg.files import read_csv, read_text

TABLE = "groups.csv"
COLUMNS = ("group", "patient", "slide", "plate")
HEADER = f"it needs a header with id and at least one of {', '.join(COLUMNS)}, then one row per sample"

Rows = list[dict[str, str]]


def find_groups(data: DataSettings, archive: Path, samples: Path, ids: Collection[str]) -> Rows:
    """Read the table `data.groups`, or where that has no rows the archive's own, extracted with the samples.

    Returns:
        The rows, as `read_groups` gives them.

    Raises:
        InputError: as `read_groups` does; and if a table beside the archive would be overlooked.
    """
    given, own, beside = Path(data.groups), samples / TABLE, archive.with_name(TABLE)
    if beside.is_file() and not (given.is_file() and given.samefile(beside)):
        raise InputError(f"{beside}: is beside the archive, where DVC does not watch it; set data.groups to this path")
    if not given.is_file():
        raise InputError(
            f"{given}: no such file; data.groups has to name a table, of a header alone (id,group) for none"
        )
    rows = read_groups(given, ids)
    return read_groups(own, ids) if own.is_file() and not rows else rows


def read_groups(path: Path, ids: Collection[str]) -> Rows:
    """Read a table of groups: a CSV file with a column `id` and at least one of `group`, `patient`, `slide`, `plate`.

    Returns:
        A row for each of the samples `ids`, values in one Unicode form without needless spaces; none if the file has
        only a header.

    Raises:
        InputError: with one line per problem: missing columns; unknown, repeated or missing ids.
    """
    rows = [{name: _one_form(value) for name, value in row.items() if name} for row in read_csv(path)]
    header = rows[0].keys() if rows else read_text(path).strip().split(",")
    if "id" not in header or not {*COLUMNS} & {*header}:
        raise InputError(f"{path}: {HEADER}")
    listed = Counter(row["id"] for row in rows)
    problems = [f"{name}: there is no such sample; remove its row" for name in listed if name not in ids]
    problems += [f"{name}: has {count} rows; keep one" for name, count in listed.items() if count > 1]
    problems += [f"{name}: this sample has no row; add one" for name in sorted({*ids} - listed.keys()) if rows]
    if problems:
        raise InputError(*(f"{path}: {problem}" for problem in problems))
    return rows


def _one_form(value: str | list[str] | None) -> str:
    """Give a value the Unicode form of the samples' ids, without spaces around it or doubled inside."""
    return " ".join(unicodedata.normalize("NFC", value).split()) if isinstance(value, str) else ""
