import tracemalloc

import numpy as np
import pytest

from unetseg.evaluation.comparison import bootstrap_interval


def test_the_interval_of_ungrouped_values_is_that_of_the_normal_theory():
    values = np.random.default_rng(1).normal(0.8, 0.1, 400)
    low, high = bootstrap_interval(values, [str(index) for index in range(400)], 4000, 0)
    error = values.std() / np.sqrt(400)
    assert low == pytest.approx(values.mean() - 1.96 * error, abs=0.1 * error)
    assert high == pytest.approx(values.mean() + 1.96 * error, abs=0.1 * error)


def test_images_of_one_group_count_once_not_many_times():
    few = np.random.default_rng(2).normal(0.8, 0.1, 20)
    names = [str(index) for index in range(20)]
    alone = bootstrap_interval(few, names, 2000, 0)
    assert bootstrap_interval(np.repeat(few, 10), np.repeat(names, 10).tolist(), 2000, 0) == pytest.approx(alone)


def test_a_large_group_weighs_by_its_images():
    interval = bootstrap_interval(np.array([0.0, 1.0, 1.0, 1.0]), ["a", "b", "b", "b"], 2000, 0)
    wider = 2**0.5 * 12.7062 / 1.96  # than from a drawn twice to b drawn twice
    assert interval == pytest.approx((0.75 - 0.75 * wider, 0.75 + 0.25 * wider), rel=1e-4)


@pytest.mark.parametrize("groups", [2, 3, 6, 12])
def test_however_few_groups_there_are_about_19_of_20_intervals_hold_the_true_mean(groups):
    random = np.random.default_rng(groups)
    names = [str(number) for number in range(groups) for _ in range(3)]
    held = 0
    for trial in range(400):
        values = np.repeat(random.normal(0, 1, groups), 3) + random.normal(0, 1, 3 * groups)
        low, high = bootstrap_interval(values, names, 400, trial)
        held += low <= 0 <= high
    assert 0.9 <= held / 400 <= 0.98


def test_the_same_seed_gives_the_same_interval_and_another_seed_another():
    values, names = np.random.default_rng(3).random(30), [str(index) for index in range(30)]
    first, again, other = (bootstrap_interval(values, names, 500, seed) for seed in (0, 0, 1))
    assert first == again != other


def test_of_a_single_group_there_is_no_interval():
    assert bootstrap_interval(np.array([0.7, 0.9]), ["a", "a"], 100, 0) is None


def test_the_interval_of_many_groups_takes_little_memory_and_has_the_same_draws(monkeypatch):
    values, names = np.random.default_rng(4).random(500), [str(index) for index in range(500)]
    whole = bootstrap_interval(values, names, 300, 0)
    monkeypatch.setattr("unetseg.evaluation.comparison.MOST_DRAWN", 1100)  # two resamples at a time
    tracemalloc.start()
    assert bootstrap_interval(values, names, 300, 0) == whole
    assert tracemalloc.get_traced_memory()[1] < 300_000  # the 150,000 draws alone would take 600,000
    tracemalloc.stop()
