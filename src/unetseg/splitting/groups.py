"""Group samples that belong together: by the user's table and by chains of pairs."""

from collections.abc import Iterable, Mapping

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from unetseg.dataset.groups import COLUMNS


def joined(rows: Iterable[Mapping[str, str]], ids: Iterable[str]) -> dict[str, str]:
    """Group samples that share a value in any column; an empty field connects its sample to no other.

    `rows` are those of the user's table, see `unetseg.dataset.groups.read_groups`; only the samples `ids` are in use.

    Returns:
        The group of each id, named after its first member.
    """
    used, first = set(ids), dict[tuple[str, str], str]()
    cells = [(row["id"], column, row.get(column, "").casefold()) for row in rows for column in COLUMNS]
    named = [(name, (column, value)) for name, column, value in cells if value and name in used]
    return connected(used, [(name, first.setdefault(key, name)) for name, key in named])


def connected(ids: Iterable[str], pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Group samples that are connected by a chain of pairs, whatever their order.

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
