"""Group samples that belong together: by the user's groups.csv and by chains of pairs."""

import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable
from pathlib import Path

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from unetseg.errors import InputError
from unetseg.files import read_csv

COLUMNS = ("group", "patient", "slide", "plate")
HEADER = f"it needs a header with id and at least one of {', '.join(COLUMNS)}, then one row per sample"


def read_groups(path: Path, ids: Collection[str]) -> dict[str, str]:
    """Read the user's groups: samples that share a value in any column are in one group.

    Args:
        path: a CSV file with the column `id` and at least one of `group`, `patient`, `slide`, `plate`. An empty field
            connects its sample to no other. Rows of unused samples whose folder is beside the file are ignored.
        ids: the samples in use.

    Returns:
        The group of each id, named after its first member.

    Raises:
        InputError: with one line per problem: missing columns; unknown, repeated or missing ids.
    """
    rows = [{name: _one_form(value) for name, value in row.items() if name} for row in read_csv(path)]
    columns = [name for name in COLUMNS if rows and name in rows[0]]
    if not columns or "id" not in rows[0]:
        raise InputError(f"{path}: {HEADER}")
    used, listed = set(ids), Counter(row["id"] for row in rows)
    unknown = [name for name in listed if name not in used and not (path.parent / name).is_dir()]
    problems = [f"{path}: {name}: there is no such sample; remove its row" for name in unknown]
    problems += [f"{path}: {name}: has {count} rows; keep one" for name, count in listed.items() if count > 1]
    problems += [f"{path}: {name}: this sample has no row; add one" for name in sorted(used - listed.keys())]
    if problems:
        raise InputError(*problems)
    first: dict[tuple[str, str], str] = {}
    rows = [row for row in rows if row["id"] in used]
    values = [(row["id"], column, row[column].casefold()) for row in rows for column in columns if row[column]]
    return connected(ids, [(name, first.setdefault((column, value), name)) for name, column, value in values])


def _one_form(value: str | list[str] | None) -> str:
    """Give a value the Unicode form of the samples' ids, without spaces around it or doubled inside."""
    return " ".join(unicodedata.normalize("NFC", value).split()) if isinstance(value, str) else ""


def connected(ids: Iterable[str], pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Group samples that are connected by a chain of pairs.

    Args:
        ids: the samples; their order does not matter.
        pairs: two ids that belong together.

    Returns:
        The group of each id, named after its first member in alphabetical order.
    """
    names = sorted(ids)
    index = {name: number for number, name in enumerate(names)}
    edges = np.array([(index[first], index[second]) for first, second in pairs], np.int64).reshape(-1, 2)
    graph = coo_array((np.ones(len(edges)), (edges[:, 0], edges[:, 1])), shape=(len(names), len(names)))
    _, components = connected_components(graph, directed=False)
    _, firsts = np.unique(components, return_index=True)
    return {name: names[firsts[component]] for name, component in zip(names, components, strict=True)}
