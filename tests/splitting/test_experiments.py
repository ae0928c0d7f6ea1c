import numpy as np
import pytest

from unetseg.errors import InputError
from unetseg.images.appearance import appearance
from unetseg.splitting.experiments import describe_experiments, find_experiments, given_experiments
from unetseg.splitting.splits import experiment_split

RNG = np.random.default_rng(0)


def image(level, contrast):
    return np.clip(level + contrast * RNG.standard_normal((32, 32, 1)) * np.ones(3), 0, 255).astype(np.uint8)


def row(index, source="", size=256):
    return {
        "index": str(index), "id": f"i{index}", "height": str(size), "width": str(size), "modality": "dark_grey",
        "source": source,
    }  # fmt: skip


def test_images_of_two_microscopes_are_told_apart_and_no_field_falls_apart():
    images = [image(20 + index % 3, 3) for index in range(8)] + [image(120 + index % 3, 30) for index in range(8)]
    rows = [row(index) for index in range(16)]
    groups = {each["id"]: each["id"] for each in rows} | {"i1": "i0", "i15": "i0"}  # one field of both looks
    found = find_experiments(rows, np.array([appearance(each) for each in images]), groups)
    assert found["i0"] == found["i1"] == found["i15"]
    assert len({found[f"i{index}"] for index in range(2, 8)}) == 1
    assert len({found[f"i{index}"] for index in range(8, 15)}) == 1
    assert found["i2"] != found["i8"]


def test_images_of_another_size_are_another_experiment():
    rows = [row(0), row(1, size=1024), row(2)]
    found = find_experiments(rows, np.array([appearance(image(20, 3))] * 3), {each["id"]: each["id"] for each in rows})
    assert found["i0"] == found["i2"] != found["i1"]


def test_experiments_that_the_user_names_come_before_sources_and_those_before_the_pixels():
    rows = [row(0, "lab a"), row(1)]
    assert given_experiments([row(0)], []) is None
    assert given_experiments(rows, []) == ({"i0": "lab a", "i1": "unknown"}, "sources.csv")
    groups = [{"id": "i1", "group": "g", "experiment": "x"}]
    assert given_experiments(rows, groups) == ({"i0": "unknown", "i1": "x"}, "groups.csv")


def test_upper_and_lower_case_are_one_experiment():
    groups = [{"id": "i0", "experiment": "Lab"}, {"id": "i1", "experiment": "lab"}]
    assert given_experiments([row(0), row(1)], groups) == ({"i0": "lab", "i1": "lab"}, "groups.csv")
    assert given_experiments([row(0, "A"), row(1, "a"), row(2, "b")], [])[0] == {"i0": "a", "i1": "a", "i2": "b"}


def test_one_source_of_all_images_names_no_experiments():
    rows = [row(0, "lab a"), row(1, "lab a")]
    assert given_experiments(rows, []) is None
    assert given_experiments([*rows, row(2)], [])[1] == "sources.csv"


def test_every_experiment_is_tested_once_and_never_learnt_from_in_that_fold():
    experiments = {f"i{index}": "abcde"[index % 5 if index < 20 else 0] for index in range(30)}
    groups = {name: name for name in experiments}
    tested = []
    for fold in range(3):
        split = {"folds": 3, "fold": fold, "validation": 0.2, "seed": 0}
        subsets = experiment_split(experiments, groups, dict.fromkeys(groups, "k"), **split)
        held = {experiments[name] for name, subset in subsets.items() if subset == "test"}
        assert held.isdisjoint(experiments[name] for name, subset in subsets.items() if subset != "test")
        assert {"train", "validation", "test"} == set(subsets.values())
        tested += sorted(held)
    assert sorted(tested) == list("abcde")


def test_experiments_that_share_a_group_are_held_out_together():
    experiments = {f"i{index}": "abcd"[index % 4] for index in range(40)}
    groups = {name: "shared" if name in ("i0", "i1") else name for name in experiments}  # of a and of b
    split = {"folds": 3, "validation": 0.2, "seed": 0}
    held = []
    for fold in range(3):
        subsets = experiment_split(experiments, groups, dict.fromkeys(groups, "k"), fold=fold, **split)
        held.append({experiments[name] for name, subset in subsets.items() if subset == "test"})
    assert sorted(map(sorted, held)) == [["a", "b"], ["c"], ["d"]]
    with pytest.raises(InputError, match="the 40 samples are of 3 that share no group"):
        experiment_split(experiments, groups, dict.fromkeys(groups, "k"), fold=0, **split | {"folds": 4})


def test_fewer_experiments_than_folds_are_told_with_the_remedy():
    names = {f"i{index}": "ab"[index % 2] for index in range(8)}
    with pytest.raises(InputError, match=r"split\.folds=5 needs .* 8 samples are of 2; lower split\.folds"):
        experiment_split(names, names, names, folds=5, fold=0, validation=0.2, seed=0)


def test_experiments_that_cannot_be_held_out_are_told_with_another_remedy():
    names, one = {f"i{index}": f"i{index}" for index in range(9)}, {f"i{index}": "lab" for index in range(9)}
    with pytest.raises(InputError, match=r"are of 1; use another split\.method$"):
        experiment_split(one, names, names, folds=2, fold=0, validation=0.2, seed=0)


def test_the_report_counts_kinds_sizes_and_subsets_of_each_experiment():
    rows = [row(0), row(1, size=512)]
    told = describe_experiments(rows, {"i0": "a", "i1": "b"}, {"i0": "train", "i1": "test"}, "sources.csv")
    assert told["found_by"] == "sources.csv"
    assert told["experiments"]["b"] == {
        "images": 1, "kinds": {"dark_grey": 1}, "sizes": {"512x512": 1}, "subsets": {"test": 1},
    }  # fmt: skip
