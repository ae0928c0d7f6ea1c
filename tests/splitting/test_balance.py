import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unetseg.splitting.groups import choose_groups


def _data(sizes: list[int], kinds: list[str]) -> tuple[dict[str, str], dict[str, str]]:
    """Groups of these sizes, each of one kind."""
    ids = [(f"{group}-{number}", str(group)) for group, size in enumerate(sizes) for number in range(size)]
    return dict(ids), {name: kinds[int(group)] for name, group in ids}


def test_every_kind_gives_its_share():
    sizes = [4] * 20 + [1] * 40 + [2] * 5
    groups, strata = _data(sizes, ["a"] * 20 + ["b"] * 40 + ["c"] * 5)
    chosen = choose_groups(groups, strata, 26, 2, 0)
    assert {kind: sum(strata[name] == kind for name in chosen) for kind in "abc"} == {"a": 16, "b": 8, "c": 2}


def test_a_rare_kind_is_chosen_although_its_smallest_group_is_more_than_its_share():
    groups, strata = _data([1] * 100 + [6, 5, 5], ["a"] * 100 + ["b"] * 3)
    chosen = choose_groups(groups, strata, 17, 2, 0)
    assert sum(strata[name] == "b" for name in chosen) == 5


def test_a_kind_of_two_groups_is_not_taken_away_whole():
    groups, strata = _data([1] * 100 + [4, 3], ["a"] * 100 + ["b"] * 2)
    assert {groups[name] for name in groups if strata[name] == "b"} - {
        groups[name] for name in choose_groups(groups, strata, 50, 2, 0)
    }


def test_groups_that_are_each_their_own_kind_still_add_up_to_the_size():
    groups, strata = _data([10] * 10, [str(number) for number in range(10)])
    assert len(choose_groups(groups, strata, 30, 2, 0)) == 30


@settings(deadline=None, max_examples=50)
@given(
    st.lists(st.tuples(st.integers(1, 9), st.sampled_from("abc")), min_size=4, max_size=30),
    st.floats(0.05, 0.5),
    st.integers(0, 1000),
)
def test_whole_groups_are_chosen_and_enough_are_left(content, share, seed):
    groups, strata = _data([size for size, _ in content], [kind for _, kind in content])
    count = max(1, round(share * len(groups)))
    chosen = choose_groups(groups, strata, count, 2, seed)
    inside = {groups[name] for name in chosen}
    assert inside
    assert chosen == {name for name in groups if groups[name] in inside}
    assert len(content) - len(inside) >= 2
    for kind in "abc":
        of_kind = {group for group, (_, other) in enumerate(content) if other == kind}
        assert len(of_kind - {int(group) for group in inside}) >= min(2, len(of_kind) - 1)


@pytest.mark.slow
@settings(deadline=None, max_examples=50)
@given(st.integers(0, 100), st.randoms())
def test_the_order_of_the_samples_does_not_matter(seed, random):
    sizes = np.random.default_rng(seed).integers(1, 6, 12).tolist()
    groups, strata = _data(sizes, ["a", "b"] * 6)
    shuffled = list(groups)
    random.shuffle(shuffled)
    expected = choose_groups(groups, strata, 10, 2, seed)
    assert choose_groups({name: groups[name] for name in shuffled}, strata, 10, 2, seed) == expected
