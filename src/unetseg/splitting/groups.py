"""Group samples that belong together, by the user's table and by chains of pairs; choose whole groups evenly."""

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence

import numpy as np
from jaxtyping import Bool, Float, Int

from unetseg.dataset.groups import COLUMNS, STACK

TRIES = 50  # orders of the groups to try; the most even choice is kept


def names_groups(rows: Sequence[Mapping[str, str]]) -> bool:
    """Tell a table that says which samples belong together; one may name their experiments alone, or nothing."""
    return any(row.get(column) for row in rows for column in COLUMNS)


def joined(
    rows: Iterable[Mapping[str, str]], ids: Iterable[str], pairs: Iterable[tuple[str, str]] = ()
) -> dict[str, str]:
    """Group samples that share a value in any column, and those without any value by the pairs that they are in.

    `rows` are those of the user's table, see `unetseg.dataset.groups.read_groups`; only the samples `ids` are in use.

    Returns:
        The group of each id, named after its first member.
    """
    used = set(ids)
    cells = [(row["id"], column, row.get(column, "").casefold()) for row in rows for column in (*COLUMNS, STACK)]
    named = [(name, (column, value)) for name, column, value in cells if value and name in used]
    known = {name for name, (column, _) in named if column != STACK}
    found = [pair for pair in pairs if not known.issuperset(pair)]
    return connected(used, [*sharing(named), *found])


def sharing(keys: Iterable[tuple[str, Hashable]]) -> Iterator[tuple[str, str]]:
    """Pair each name, given with a key, with the first that has the same key."""
    first: dict[Hashable, str] = {}
    return ((name, first.setdefault(key, name)) for name, key in keys)


def connected(ids: Iterable[str], pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Group samples that are connected by a chain of pairs, whatever their order.

    Returns:
        The group of each id, named after its first member in alphabetical order.
    """
    known = {name: name for name in sorted(ids)}  # each with an earlier member of its group, or itself

    def first_member(name: str) -> str:
        while known[name] != name:
            known[name] = name = known[known[name]]
        return name

    for pair in pairs:
        earlier, later = sorted(map(first_member, pair))
        known[later] = earlier
    return {name: first_member(name) for name in known}


def choose_groups(groups: Mapping[str, str], strata: Mapping[str, str], count: int, leave: int, seed: int) -> set[str]:
    """Choose whole groups of about `count` samples, and leave at least `leave` groups of each kind where possible.

    scikit-learn's StratifiedGroupKFold makes folds of equal size only, and on real fields its best of 20 shuffles is
    less even than one pass of `_choose` (measured by benchmarks/fields.py).
    """
    ids = sorted(groups)
    members, kinds = (_numbered([each[name] for name in ids]) for each in (groups, strata))
    table = np.zeros((members.max() + 1, kinds.max() + 1), np.int64)
    np.add.at(table, (members, kinds), 1)
    table = np.hstack([table, table.sum(axis=1, keepdims=True)])  # the total counts as one more kind
    random = np.random.default_rng(seed)
    wanted = _wanted(table, count, leave)
    choices = [_choose(table, wanted, leave, random.permutation(len(table))) for _ in range(TRIES)]
    best = min(choices, key=lambda chosen: _deviation(table[chosen].sum(axis=0), wanted))
    return {name for name, member in zip(ids, members, strict=True) if best[member]}


def _numbered(values: Sequence[str]) -> Int[np.ndarray, " n"]:
    """Number the values, equal ones alike, in alphabetical order: `numpy.unique` would copy each text several times."""
    places = {value: place for place, value in enumerate(sorted(set(values)))}
    return np.array([places[value] for value in values], np.int32)


def _wanted(table: Int[np.ndarray, "groups kinds"], count: int, leave: int) -> Float[np.ndarray, " kinds"]:
    """Count the wanted samples per kind: its share, but at least its smallest group if every subset can have one."""
    share = table.sum(axis=0) * count / table[:, -1].sum()
    smallest = np.where(table > 0, table, table.max()).min(axis=0)
    everywhere = (table > 0).sum(axis=0) > leave
    return np.asarray(np.where(everywhere, np.maximum(share, smallest), share))


def _choose(
    table: Int[np.ndarray, "groups kinds"],
    wanted: Float[np.ndarray, " kinds"],
    leave: int,
    order: Int[np.ndarray, " groups"],
) -> Bool[np.ndarray, " groups"]:
    """Go through the groups in this order: take those that make the choice more even, then those that fix its size.

    A group that is not taken stands for all that have the same numbers of samples, until one is taken.
    """
    alike, numbers = (each.tolist() for each in np.unique(table, axis=0, return_inverse=True))
    counts = [[(kind, count) for kind, count in enumerate(row) if count] for row in alike]
    left = (table > 0).sum(axis=0).tolist()
    least = [min(leave, groups - 1) for groups in left]
    have = [0.0] * len(left)
    chosen = np.zeros(len(table), np.bool_)
    for columns in (slice(None), slice(-1, None)):
        refused = set[int]()
        for group in order.tolist():
            if chosen[group] or numbers[group] in refused:
                continue
            row = counts[numbers[group]]
            changes = [count * (count - 2 * (wanted[kind] - have[kind])) / wanted[kind] for kind, count in row[columns]]
            if sum(changes) < 0 and all(left[kind] > least[kind] for kind, _ in row):
                chosen[group] = True
                refused.clear()
                for kind, count in row:
                    have[kind] += count
                    left[kind] -= 1
            else:
                refused.add(numbers[group])
    return chosen


def _deviation(have: Int[np.ndarray, " kinds"], wanted: Float[np.ndarray, " kinds"]) -> float:
    """Measure how uneven a choice is: chi-square over the kinds and the total, 0 if every count is as wanted."""
    return float(((have - wanted) ** 2 / wanted).sum())
