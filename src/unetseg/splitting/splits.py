"""Split samples into train, validation and test: whole groups, every kind in proportion."""

import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from sklearn.model_selection import train_test_split

from unetseg.errors import InputError
from unetseg.splitting.balance import choose_groups

SUBSETS = ("train", "validation", "test")


def stratum(modality: str, height: int, width: int) -> str:
    """Name the kind of an image: its modality and the root of its area to the nearest half octave (256, 362, …)."""
    return f"{modality}-{round(2 ** (round(math.log2(height * width)) / 2))}"


def random_split(ids: Iterable[str], *, validation: float, test: float, seed: int) -> dict[str, str]:
    """Split image by image, as papers do: neighbours in one field may end up in both train and test.

    Args:
        ids: the samples; their order does not matter.
        validation: share of the samples for validation.
        test: share of the samples for test, or 0; both counts are rounded to the nearest whole number.
        seed: of the shuffling.

    Returns:
        The subset of each id.

    Raises:
        InputError: if a subset would be empty.
    """
    names = sorted(ids)
    validated, tested = _counts(len(names), validation, test, f"split.test={test:g}")
    rest, test_ids = train_test_split(names, test_size=tested, random_state=seed) if tested else (names, [])
    train_ids, validation_ids = train_test_split(rest, test_size=validated, random_state=seed)
    return _subsets(train_ids, validation_ids, test_ids if tested else None)


def grouped_split(
    groups: Mapping[str, str], strata: Mapping[str, str], *, validation: float, test: float, seed: int
) -> dict[str, str]:
    """Split whole groups, with each stratum as close to proportion as the groups allow.

    Args:
        groups: the group of each id.
        strata: the kind of each id.
        validation: share of the samples for validation.
        test: share of the samples for test, or 0.
        seed: of the shuffling.

    Returns:
        The subset of each id.

    Raises:
        InputError: if there are too few samples or groups for the subsets.
    """
    validated, tested = _counts(len(groups), validation, test, f"split.test={test:g}")
    _check_groups(groups, 3 if tested else 2, "split.method=grouped")
    test_ids = choose_groups(groups, strata, tested, 2, seed) if tested else set()
    rest = {name: group for name, group in groups.items() if name not in test_ids}
    validation_ids = choose_groups(rest, strata, validated, 1, seed)
    return _subsets(rest.keys() - validation_ids, validation_ids, test_ids if tested else None)


def kfold_split(
    groups: Mapping[str, str], strata: Mapping[str, str], *, folds: int, fold: int, validation: float, seed: int
) -> dict[str, str]:
    """Make one of `folds` grouped and stratified folds the test subset and take validation from the others.

    Args:
        groups: the group of each id.
        strata: the kind of each id.
        folds: number of folds.
        fold: the one to test on, from 0.
        validation: share of all samples for validation.
        seed: of the shuffling; the folds of one seed are disjoint and together hold every id.

    Returns:
        The subset of each id.

    Raises:
        InputError: if there are too few samples or groups.
    """
    validated, _ = _counts(len(groups), validation, 1 / folds, f"split.folds={folds}")
    _check_groups(groups, max(3, folds), f"split.method=kfold with split.folds={folds}")
    left, test_ids = dict(groups), set(groups)
    for number in range(fold + 1):
        after = folds - number - 1
        test_ids = choose_groups(left, strata, round(len(left) / (after + 1)), after, seed) if after else set(left)
        left = {name: group for name, group in left.items() if name not in test_ids}
    rest = {name: group for name, group in groups.items() if name not in test_ids}
    validation_ids = choose_groups(rest, strata, validated, 1, seed)
    return _subsets(rest.keys() - validation_ids, validation_ids, test_ids)


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
    """Test on whole experiments that no other subset has; validation takes groups of the other experiments.

    The largest experiment first, each goes to the fold that has the fewest samples.

    Args:
        experiments: the experiment of each id.
        groups: the group of each id.
        strata: the kind of each id.
        folds: into how many parts to share the experiments.
        fold: which of them to test on, from 0.
        validation: share of the other samples for validation.
        seed: of the choice of validation.

    Returns:
        The subset of each id.

    Raises:
        InputError: if there are fewer experiments than folds, or too few other groups.
    """
    sizes = Counter(experiments.values())
    if len(sizes) < folds:
        rule = f"needs at least as many experiments, but the {len(groups)} samples are of {len(sizes)}"
        raise InputError(f"params.yaml: split.method=experiment with split.folds={folds} {rule}; lower split.folds")
    parts: list[set[str]] = [set() for _ in range(folds)]
    for name, _ in sorted(sizes.items(), key=lambda item: (-item[1], item[0])):
        min(parts, key=lambda part: sum(sizes[each] for each in part)).add(name)
    test_ids = {name for name, experiment in experiments.items() if experiment in parts[fold]}
    rest = {name: group for name, group in groups.items() if name not in test_ids}
    _check_groups(rest, 2, "split.method=experiment")
    validation_ids = choose_groups(rest, strata, max(1, round(validation * len(rest))), 1, seed)
    return _subsets(rest.keys() - validation_ids, validation_ids, test_ids)


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

    Args:
        subsets: the subset of each id.
        groups: the group of each id.
        strata: the kind of each id.
        pairs: ids that show the same field or picture.
        seed: of a random split into subsets of the same sizes, whose count is given for comparison.
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
        raise InputError(f"params.yaml: {key} {rule}; add samples, or use split.method=random")


def _subsets(train: Iterable[str], validation: Iterable[str], test: Iterable[str] | None) -> dict[str, str]:
    """Name the subset of each sample; None for a subset that is not wanted."""
    parts = {subset: ids for subset, ids in zip(SUBSETS, (train, validation, test), strict=True) if ids is not None}
    subsets = {name: subset for subset, ids in parts.items() for name in ids}
    for subset in parts.keys() - set(subsets.values()):
        rule = f"no split of whole groups leaves one for the {subset} subset"
        raise InputError(f"params.yaml: split.method: {rule}; add samples, or change split.folds, validation or test")
    return subsets
