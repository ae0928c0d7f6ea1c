import pytest

from unetseg.errors import InputError
from unetseg.evaluation.sweeps import Run, fold_lines, gather_folds


def run(fold, dice, *, epochs=3, method="kfold", **more):
    params = {"split.method": method, "split.folds": 3, "split.fold": fold, "train.epochs": epochs}
    return Run(f"fold{fold}", params, {"dice.mean": dice, **more})


def test_the_folds_are_gathered_with_mean_and_standard_deviation():
    (folds,) = gather_folds([run(2, 0.9), run(1, 0.8), run(0, 0.7)])
    assert folds.missing == []
    table = list(fold_lines([folds]))
    assert table[0] == "3 of 3 folds"
    assert table[2].split() == ["dice.mean", "0.8", "0.1", "0.7", "0.9"]
    assert len(table) == 3


def test_the_newest_run_of_a_fold_counts():
    (folds,) = gather_folds([run(0, 0.9), run(0, 0.5)])
    assert folds.scores == {0: {"dice.mean": 0.9}}
    assert folds.missing == [1, 2]
    assert "nan" in list(fold_lines([folds]))[2]


def test_experiments_with_other_parameters_are_told_apart():
    gathered = gather_folds([run(0, 0.9), run(0, 0.5, epochs=9), run(1, 0.7)])
    headers = [line for line in fold_lines(gathered) if "of 3" in line]
    assert headers == ["2 of 3 folds train.epochs=3", "1 of 3 folds train.epochs=9"]


def test_folds_that_began_from_the_last_model_are_gathered_and_a_line_says_that_it_may_differ():
    start = {"train.start_from": "models/unet_model.keras"}
    runs = [run(0, 0.9), run(1, 0.8)]
    runs = [each._replace(params=each.params | start | {"hash of data and start model": each.name}) for each in runs]
    line, head, *_ = fold_lines(gather_folds(runs))
    assert line.startswith("train.start_from=models/unet_model.keras is the last model when a run began: ")
    assert head == "2 of 3 folds"


def test_of_a_number_that_only_some_folds_have_the_line_says_how_many():
    (folds,) = gather_folds([run(0, 0.9, extra=1.0), run(1, 0.8), run(2, 0.7, extra=2.0)])
    (line,) = [line for line in fold_lines([folds]) if "extra" in line]
    assert line.split() == ["extra", "(2", "of", "3", "folds)", "1.5", "0.7071", "1", "2"]


@pytest.mark.parametrize("runs", [[], [run(0, 0.9, method="grouped")]])
def test_without_a_scored_fold_the_error_says_how_to_run_them(runs):
    with pytest.raises(InputError, match=r"split\.method=kfold.* unetseg sweep"):
        gather_folds(runs)
