"""Split samples into train, validation and test: whole groups, every kind in proportion.

What the splits share: `groups`, `strata` and `experiments` hold the group, the kind and the experiment of each id;
`validation` and `test` are shares of the samples, rounded to whole samples; `seed` is that of the shuffling. The order
of the ids does not matter. A split gives the subset of each id.
"""

import functools
import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from unetseg.dataset.groups import COLUMNS
from unetseg.dataset.layout import GROUPS
from unetseg.errors import InputError
from unetseg.splitting.groups import choose_groups, connected, sharing

SUBSETS = ("train", "validation", "test")


@functools.cache  # thousands of images are of few kinds
def stratum(modality: str, height: int, width: int) -> str:
    """Name the kind of an image: its modality and the root of its area to the nearest half octave (256, 362, …)."""
    return f"{modality}-{round(2 ** (round(math.log2(height * width)) / 2))}"


def random_split(ids: Iterable[str], *, validation: float, test: float, seed: int) -> dict[str, str]:
    """Split image by image, as papers do: neighbours in one field may end up in both train and test.

    Raises:
        InputError: if a subset would be empty; that of test may be, if `test` is 0.
    """
    names = sorted(ids)
    validated, tested = _counts(len(names), validation, test, f"split.test={test:g}")
    test_ids, rest = _drawn(names, tested, seed) if tested else (None, names)
    validation_ids, train_ids = _drawn(rest, validated, seed)
    return _subsets(train_ids, validation_ids, test_ids)


def grouped_split(
    groups: Mapping[str, str], strata: Mapping[str, str], *, validation: float, test: float, seed: int
) -> dict[str, str]:
    """Split whole groups, with each stratum as close to proportion as the groups allow.

    Raises:
        InputError: if there are too few samples or groups for the subsets; that of test may be empty, if `test` is 0.
    """
    validated, tested = _counts(len(groups), validation, test, f"split.test={test:g}")
    _check_groups(groups, 3 if tested else 2, "split.method=grouped")
    test_ids = choose_groups(groups, strata, tested, 2, seed) if tested else None
    return _with_validation(groups, strata, test_ids, validated, seed)


def kfold_split(
    groups: Mapping[str, str], strata: Mapping[str, str], *, folds: int, fold: int, validation: float, seed: int
) -> dict[str, str]:
    """Make one of `folds` grouped and stratified folds the test subset and take validation from the others.

    The folds of one seed are disjoint and together hold every id; `fold` counts from 0. A group that is larger than a
    fold is one of the last folds, and the others share what is left.

    Raises:
        InputError: if there are too few samples or groups.
    """
    validated, _ = _counts(len(groups), validation, 1 / folds, f"split.folds={folds}")
    _check_groups(groups, max(3, folds), f"split.method=kfold with split.folds={folds}")
    left, large, tested = dict(groups), list[set[str]](), list[set[str]]()
    for name, size in Counter(groups.values()).most_common(folds - 1):
        if size > len(left) / (folds - len(large)):
            large.append({each for each in left if left[each] == name})
            left = _without(left, large[-1])
    for after in range(folds - len(large) - 1, -1, -1):  # how many of these folds come after this one
        tested.append(choose_groups(left, strata, round(len(left) / (after + 1)), after, seed) if after else set(left))
        left = _without(left, tested[-1])
    return _with_validation(groups, strata, (tested + large)[fold], validated, seed)


def experiment_split(
    experiments: Mapping[str, str],
    groups: Mapping[str, str],
    strata: Mapping[str, str],
    *,
    folds: int,
    fold: int,
    validation: float,
    seed: int,
) -> dict[str, str]:
    """Test on whole experiments that no other subset has; validation takes its share of the groups of the others.

    Experiments that share a group are held out together. The largest first, each goes to the one of `folds` parts that
    has the fewest samples; `fold`, from 0, is the part to test on.

    Raises:
        InputError: if there are fewer experiments than folds, or too few other groups.
    """
    keys = ((name, groups[each]) for each, name in experiments.items())
    together = connected(set(experiments.values()), sharing(keys))
    experiments = {each: together[name] for each, name in experiments.items()}
    sizes = Counter(experiments.values())
    if len(sizes) < folds:
        rule = f"needs at least as many experiments, but the {len(groups)} samples are of {len(sizes)}"
        rule += " that share no group" * (len(sizes) < len(together))
        remedy = "lower split.folds" if len(sizes) > 1 else "use another split.method"
        raise InputError(f"params.yaml: split.method=experiment with split.folds={folds} {rule}; {remedy}")
    parts: list[set[str]] = [set() for _ in range(folds)]
    for name, _ in sorted(sizes.items(), key=lambda item: (-item[1], item[0])):
        min(parts, key=lambda part: sum(sizes[each] for each in part)).add(name)
    test_ids = {name for name, experiment in experiments.items() if experiment in parts[fold]}
    rest = _without(groups, test_ids)
    _check_groups(rest, 2, "split.method=experiment")
    return _with_validation(groups, strata, test_ids, max(1, round(validation * len(rest))), seed)


def share_out(
    groups: Mapping[str, str],
    strata: Mapping[str, str],
    *,
    method: str,
    validation: float,
    test: float,
    folds: int,
    fold: int,
    seed: int,
) -> dict[str, str]:
    """Split by `method`: grouped, random or kfold; each uses the values that concern it."""
    if method == "random":
        return random_split(groups, validation=validation, test=test, seed=seed)
    if method == "grouped":
        return grouped_split(groups, strata, validation=validation, test=test, seed=seed)
    return kfold_split(groups, strata, folds=folds, fold=fold, validation=validation, seed=seed)


def describe(
    subsets: Mapping[str, str],
    groups: Mapping[str, str],
    strata: Mapping[str, str],
    pairs: Collection[tuple[str, str]],
    seed: int,
) -> dict[str, Any]:
    """Count the contents of each subset, and the test samples with a relative in train or validation.

    For comparison they are also counted in a random split into subsets of the same sizes. `pairs` are ids that show
    the same field or picture.
    """
    sizes = Counter(subsets.values())
    validation, test = (sizes[name] / len(subsets) for name in ("validation", "test"))
    randomly = random_split(subsets, validation=validation, test=test, seed=seed)
    return {
        "groups": len(set(groups.values())),
        "largest_group": max(Counter(groups.values()).values()),
        "test_with_neighbour": {"here": _leaks(subsets, pairs), "random": _leaks(randomly, pairs)},
        **{subset: _contents(subset, subsets, groups, strata) for subset in SUBSETS},
    }


def _leaks(subsets: Mapping[str, str], pairs: Iterable[tuple[str, str]]) -> int:
    either_way = [pair for first, second in pairs for pair in ((first, second), (second, first))]
    return len({name for name, other in either_way if subsets[name] == "test" != subsets[other]})


def _contents(
    subset: str, subsets: Mapping[str, str], groups: Mapping[str, str], strata: Mapping[str, str]
) -> dict[str, Any]:
    members = [name for name in subsets if subsets[name] == subset]
    kinds = Counter(strata[name] for name in members)
    return {
        "images": len(members),
        "groups": len({groups[name] for name in members}),
        "kinds": {kind: kinds[kind] for kind in sorted(set(strata.values()))},
    }


def _drawn(names: Sequence[str], count: int, seed: int) -> tuple[list[str], list[str]]:
    """Draw so many names, and give them and the others: what scikit-learn's train_test_split gives after a second."""
    order = np.random.RandomState(seed).permutation(len(names))
    return [names[place] for place in order[:count]], [names[place] for place in order[count:]]


def _with_validation(
    groups: Mapping[str, str], strata: Mapping[str, str], test_ids: Collection[str] | None, count: int, seed: int
) -> dict[str, str]:
    """Take about `count` samples for validation from the groups that are not tested on; the others are for training."""
    rest = _without(groups, test_ids or ())
    validation_ids = choose_groups(rest, strata, count, 1, seed)
    return _subsets(rest.keys() - validation_ids, validation_ids, test_ids)


def _without(groups: Mapping[str, str], ids: Collection[str]) -> dict[str, str]:
    return {name: group for name, group in groups.items() if name not in ids}


def _counts(samples: int, validation: float, test: float, asked: str) -> tuple[int, int]:
    validated, tested = round(validation * samples), round(test * samples)
    for subset, count in zip(SUBSETS, (samples - validated - tested, validated, tested), strict=True):
        if count < 1 and (subset, test) != ("test", 0):
            shares = f"split.validation={validation:g} and {asked} of {samples} samples"
            raise InputError(f"params.yaml: {shares} leave the {subset} subset empty; change them or add samples")
    return validated, tested


def _check_groups(groups: Mapping[str, str], needed: int, key: str) -> None:
    found = len(set(groups.values()))
    if found < needed:
        rule = f"needs at least {needed} groups, but the {len(groups)} samples form only {found}"
        fewer = "lower split.folds, " if found >= 3 and needed > 3 else ""
        joins = f"a value in {', '.join(COLUMNS)} of {GROUPS}, or that they are copies or parts of one picture"
        raise InputError(
            f"params.yaml: {key} {rule}; {fewer}add samples, see what joins these ({joins}), or use split.method=random"
        )


def _subsets(train: Iterable[str], validation: Iterable[str], test: Iterable[str] | None) -> dict[str, str]:
    """Name the subset of each sample; None for a subset that is not wanted."""
    parts = {subset: ids for subset, ids in zip(SUBSETS, (train, validation, test), strict=True) if ids is not None}
    subsets = {name: subset for subset, ids in parts.items() for name in ids}
    for subset in parts.keys() - set(subsets.values()):
        rule = f"no split of whole groups leaves one for the {subset} subset"
        raise InputError(f"params.yaml: split.method: {rule}; add samples, or change split.folds, validation or test")
    return subsets
