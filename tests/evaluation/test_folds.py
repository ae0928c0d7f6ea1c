import pytest

from unetseg.errors import InputError
from unetseg.evaluation.folds import gather, lines

METRICS = "metrics/evaluate.json"


def _experiment(fold: int, dice: float, *, epochs: int = 3, method: str = "kfold", **more) -> dict:
    split = {"method": method, "folds": 3, "fold": fold}
    params = {"params.yaml": {"data": {"split": split, "train": {"epochs": epochs}}}}
    metrics = {METRICS: {"data": {"dice": {"mean": dice}, "kind": "text", "none": None, **more}}}
    return {"name": "x", "revs": [{"data": {"rev": f"r{fold}", "params": params, "metrics": metrics}}]}


def _shown(*experiments: dict) -> list[dict]:
    workspace = _experiment(0, 0.1)["revs"][0]
    return [
        {"rev": "workspace", "data": workspace["data"], "experiments": None},
        {"rev": "abc", "data": workspace["data"], "experiments": list(experiments)},
    ]


def test_the_folds_are_gathered_with_mean_and_standard_deviation():
    (folds,) = gather(_shown(_experiment(2, 0.9), _experiment(1, 0.8), _experiment(0, 0.7)), METRICS)
    assert folds.missing == []
    table = list(lines([folds]))
    assert table[0] == "3 of 3 folds"
    assert table[2].split() == ["dice.mean", "0.8", "0.1", "0.7", "0.9"]
    assert len(table) == 3


def test_the_newest_run_of_a_fold_counts():
    (folds,) = gather(_shown(_experiment(0, 0.9), _experiment(0, 0.5)), METRICS)
    assert folds.scores == {0: {"dice.mean": 0.9}}
    assert folds.missing == [1, 2]
    assert "nan" in list(lines([folds]))[2]


def test_experiments_with_other_parameters_are_told_apart():
    gathered = gather(_shown(_experiment(0, 0.9), _experiment(0, 0.5, epochs=9), _experiment(1, 0.7)), METRICS)
    headers = [line for line in lines(gathered) if "of 3" in line]
    assert headers == ["2 of 3 folds train.epochs=3", "1 of 3 folds train.epochs=9"]


def test_a_number_that_only_some_folds_have_is_left_out():
    (folds,) = gather(_shown(_experiment(0, 0.9, extra=1), _experiment(1, 0.8)), METRICS)
    assert not any("extra" in line for line in lines([folds]))


@pytest.mark.parametrize(
    "experiments",
    [
        [],
        [_experiment(0, 0.9, method="grouped")],
        [{"name": "failed", "revs": [{"data": None, "error": {"msg": "x"}}]}],
        [{"name": "queued", "revs": None}],
    ],
)
def test_without_a_scored_fold_the_error_says_how_to_run_them(experiments):
    with pytest.raises(InputError, match=r"split\.method=kfold .*dvc exp run"):
        gather(_shown(*experiments), METRICS)


@pytest.mark.parametrize("state", ["queued", "running", "failed"])
def test_the_metrics_of_unfinished_work_are_the_commits_and_do_not_count(state):
    unfinished = _experiment(1, 0.9) | {"executor": {"state": state}}
    finished = _experiment(0, 0.8) | {"executor": {"state": "success"}}
    (folds,) = gather(_shown(unfinished, finished), METRICS)
    assert folds.scores == {0: {"dice.mean": 0.8}}


def test_an_experiment_whose_metrics_are_not_its_own_does_not_count():
    (folds,) = gather(_shown(_experiment(1, 0.9), _experiment(0, 0.8)), METRICS, scored=lambda rev: rev == "r0")
    assert folds.missing == [1, 2]
