from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import train_test_split

from unetseg.errors import InputError
from unetseg.splitting.splits import SUBSETS, describe, grouped_split, kfold_split, random_split, share_out, stratum

SHARES = {"validation": 0.15, "test": 0.15}


def _data(sizes: list[int], kinds: str = "aaab") -> tuple[dict[str, str], dict[str, str]]:
    """Groups of these sizes, each of one kind."""
    groups = {f"{group}-{number}": str(group) for group, size in enumerate(sizes) for number in range(size)}
    return groups, {name: kinds[int(group) % len(kinds)] for name, group in groups.items()}


def _subsets_of_groups(subsets: dict[str, str], groups: dict[str, str]) -> Counter:
    return Counter(group for group, _ in {(groups[name], subset) for name, subset in subsets.items()})


@st.composite
def _samples(draw):
    return _data(draw(st.lists(st.integers(1, 8), min_size=10, max_size=30)))


@settings(deadline=None, max_examples=20)
@given(_samples(), st.integers(0, 10**6))
def test_no_group_stands_in_two_subsets_and_every_id_once(data, seed):
    groups, strata = data
    subsets = grouped_split(groups, strata, **SHARES, seed=seed)
    assert subsets.keys() == groups.keys()
    assert set(subsets.values()) == set(SUBSETS)
    assert set(_subsets_of_groups(subsets, groups).values()) == {1}


@pytest.mark.slow
@settings(deadline=None, max_examples=10)
@given(_samples(), st.integers(0, 10**6), st.integers(2, 5))
def test_the_folds_are_disjoint_whole_groups_and_together_hold_every_id(data, seed, folds):
    groups, strata = data
    tested = []
    for fold in range(folds):
        subsets = kfold_split(groups, strata, folds=folds, fold=fold, validation=0.15, seed=seed)
        assert set(_subsets_of_groups(subsets, groups).values()) == {1}
        assert subsets.keys() == groups.keys()
        assert set(subsets.values()) == set(SUBSETS)
        tested += [name for name, subset in subsets.items() if subset == "test"]
    assert sorted(tested) == sorted(groups)


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [([60] + [1] * 40, [10] * 4 + [60]), ([60] + [5] * 8, [10] * 4 + [60]), ([40, 40] + [1] * 20, [7, 6, 7, 40, 40])],
)
def test_a_group_larger_than_a_fold_is_one_and_the_others_share_the_rest(sizes, expected):
    groups = {f"{group:02}-{number}": str(group) for group, size in enumerate(sizes) for number in range(size)}
    splits = [kfold_split(groups, groups, folds=5, fold=fold, validation=0.15, seed=0) for fold in range(5)]
    assert [list(subsets.values()).count("test") for subsets in splits] == pytest.approx(expected, abs=1)


@settings(deadline=None, max_examples=10)
@given(_samples(), st.integers(0, 10**6), st.sampled_from(["grouped", "random", "kfold"]), st.randoms())
def test_a_seed_decides_the_split_whatever_the_order_of_the_samples(data, seed, method, random):
    groups, strata = data
    asked = {"method": method, **SHARES, "folds": 3, "fold": 1, "seed": seed}
    names = list(groups)
    random.shuffle(names)
    shuffled = share_out({name: groups[name] for name in names}, strata, **asked)
    assert shuffled == share_out(groups, strata, **asked)


@pytest.mark.parametrize("method", ["grouped", "random", "kfold"])
def test_another_seed_gives_another_split(method):
    groups, strata = _data([2] * 40)
    asked = {"method": method, **SHARES, "folds": 3, "fold": 1}
    assert share_out(groups, strata, seed=1, **asked) != share_out(groups, strata, seed=2, **asked)


@pytest.mark.parametrize(("count", "seed"), [(10, 0), (33, 7), (664, 2**32 - 1)])
def test_a_random_split_is_that_of_scikit_learn(count, seed):
    names = [f"{number:03}" for number in range(count)]
    rest, test = train_test_split(names, test_size=round(0.1 * count), random_state=seed)
    train, validation = train_test_split(rest, test_size=round(0.2 * count), random_state=seed)
    subsets = random_split(names, validation=0.2, test=0.1, seed=seed)
    for subset, wanted in (("train", train), ("validation", validation), ("test", test)):
        assert {name for name, given in subsets.items() if given == subset} == set(wanted)


def test_a_random_split_has_the_sizes_that_were_asked_for():
    subsets = random_split(map(str, range(664)), validation=0.1, test=0.1, seed=0)
    assert Counter(subsets.values()) == {"train": 532, "validation": 66, "test": 66}


def test_a_grouped_split_has_nearly_the_sizes_and_kinds_that_were_asked_for():
    sizes = np.random.default_rng(0).choice([1, 2, 3, 4, 8, 12], 300, p=[0.3, 0.1, 0.1, 0.44, 0.04, 0.02]).tolist()
    groups, strata = _data(sizes, "aaaaaabbbc")
    subsets = grouped_split(groups, strata, validation=0.2, test=0.1, seed=3)
    for subset, share in (("validation", 0.2), ("test", 0.1)):
        members = [name for name, held_by in subsets.items() if held_by == subset]
        assert len(members) == pytest.approx(share * len(groups), abs=3)
        kinds, all_kinds = Counter(strata[name] for name in members), Counter(strata.values())
        assert all(kinds[kind] == pytest.approx(share * all_kinds[kind], abs=3) for kind in "abc")


@pytest.mark.slow
def test_a_rare_kind_is_in_every_subset():
    groups, strata = _data([3] * 100 + [6, 5, 5], "a")
    strata |= {name: "rare" for name in groups if int(groups[name]) >= 100}
    for seed in range(10):
        subsets = grouped_split(groups, strata, **SHARES, seed=seed)
        assert {subsets[name] for name in groups if strata[name] == "rare"} == set(SUBSETS)


def test_a_group_of_half_the_samples_stays_in_train():
    groups, strata = _data([60] + [1] * 60, "a")
    subsets = grouped_split(groups, strata, **SHARES, seed=0)
    assert Counter(subsets.values()) == {"train": 84, "validation": 18, "test": 18}


@pytest.mark.slow
def test_every_fold_has_its_share_of_every_kind():
    groups, strata = _data([4] * 50 + [1] * 50, "aaab")
    for fold in range(5):
        subsets = kfold_split(groups, strata, folds=5, fold=fold, validation=0.1, seed=0)
        kinds = Counter(strata[name] for name, subset in subsets.items() if subset == "test")
        assert kinds["a"] == pytest.approx(188 / 5, abs=3)
        assert kinds["b"] == pytest.approx(62 / 5, abs=3)


@pytest.mark.parametrize(
    ("sizes", "asked", "message"),
    [
        ([1] * 3, {"method": "random"}, "split.validation=0.15 and split.test=0.15 of 3 samples leave the validation"),
        ([1] * 10, {"method": "grouped", "test": 0.01}, "split.validation=0.15 and split.test=0.01 of 10 samples"),
        ([1] * 3, {"method": "kfold"}, "split.validation=0.15 and split.folds=5 of 3 samples leave the validation"),
        ([9, 9], {"method": "grouped"}, "split.method=grouped needs at least 3 groups, but the 18 samples form only 2"),
        ([9] * 4, {"method": "kfold"}, "split.method=kfold with split.folds=5 needs at least 5 groups"),
        ([20, 1, 1], {"method": "kfold", "folds": 2, "fold": 0}, "split.method: no split of whole groups leaves one"),
    ],
)
def test_what_cannot_be_shared_out_names_the_key_and_the_value(sizes, asked, message):
    groups, strata = _data(sizes, "a")
    with pytest.raises(InputError) as error:
        share_out(groups, strata, **({**SHARES, "folds": 5, "fold": 0, "seed": 0} | asked))
    assert str(error.value).startswith(f"params.yaml: {message}")


@pytest.mark.parametrize(
    ("size", "ways"),
    [([9] * 4, "lower split.folds, add samples, see what"), ([9, 9], "add samples, see what")],
)
def test_of_too_few_groups_fewer_folds_are_advised_where_fewer_would_do(size, ways):
    with pytest.raises(InputError, match=f"form only {len(size)}; {ways} joins these .*, or use split.method=random"):
        kfold_split(*_data(size, "a"), folds=5, fold=0, validation=0.15, seed=0)


@pytest.mark.parametrize("method", ["random", "grouped"])
def test_without_a_test_subset_all_other_samples_are_trained_on(method):
    groups, strata = _data([2] * 10, "ab")
    subsets = share_out(groups, strata, method=method, validation=0.2, test=0.0, folds=5, fold=0, seed=0)
    assert Counter(subsets.values()) == {"train": 16, "validation": 4}
    found = describe(subsets, groups, strata, [("0-0", "0-1")], seed=0)
    assert (found["test"]["images"], found["test_with_neighbour"]) == (0, {"here": 0, "random": 0})


def test_a_stratum_is_the_modality_and_the_nearest_half_octave():
    assert stratum("colour", 256, 256) == "colour-256"
    assert stratum("colour", 256, 320) == "colour-256"
    assert stratum("dark_grey", 360, 360) == "dark_grey-362"
    assert stratum("dark_grey", 520, 696) == "dark_grey-512"
    assert stratum("bright_grey", 1388, 1040) == "bright_grey-1024"


def test_the_description_counts_test_samples_beside_train_and_validation():
    subsets = {"a": "test", "b": "train", "c": "test", "d": "validation", "e": "test", "f": "test", "g": "train"}
    groups = {"a": "1", "b": "1", "c": "3", "d": "3", "e": "5", "f": "5", "g": "1"}
    strata = dict.fromkeys("abcd", "x") | dict.fromkeys("efg", "y")
    pairs = [("b", "a"), ("a", "g"), ("c", "d"), ("e", "f"), ("b", "g")]
    found = describe(subsets, groups, strata, pairs, seed=0)
    assert found["test_with_neighbour"]["here"] == 2
    assert (found["groups"], found["largest_group"]) == (3, 3)
    assert found["train"] == {"images": 2, "groups": 1, "kinds": {"x": 1, "y": 1}}
    assert found["test"] == {"images": 4, "groups": 3, "kinds": {"x": 2, "y": 2}}


def test_the_random_split_of_the_description_has_the_same_sizes():
    groups, strata = _data([2] * 100, "a")
    pairs = [(f"{group}-0", f"{group}-1") for group in range(100)]
    randomly = random_split(groups, **SHARES, seed=5)
    grouped = grouped_split(groups, strata, **SHARES, seed=5)
    expected = describe(randomly, groups, strata, pairs, seed=5)["test_with_neighbour"]
    assert expected["here"] == expected["random"] > 15
    assert describe(grouped, groups, strata, pairs, seed=5)["test_with_neighbour"] == {
        "here": 0,
        "random": expected["random"],
    }
