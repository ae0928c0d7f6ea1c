from pathlib import Path

import pytest

from unetseg.errors import InputError
from unetseg.evaluation.sweeps import Run, newest_alone, read_sweep, score_names, summary, varied

METRICS = "metrics/evaluate.json"


def experiment(name, dice, **more):
    params = {"params.yaml": {"data": {"train": {"seed": 1}, "plot": 2}}}
    metrics = {METRICS: {"data": {"dice": {"mean": dice}, "kind": "text", "none": None}}}
    return {
        "name": name,
        "revs": [{"rev": f"{name}-rev", "data": {"rev": name, "params": params, "metrics": metrics}}],
    } | more


def read(*experiments, **options):
    workspace = experiment("w", 0.1)["revs"][0]["data"]
    shown = [{"rev": "workspace", "data": workspace, "experiments": None}, {"rev": "abc", "data": workspace}]
    shown[1]["experiments"] = list(experiments)
    return read_sweep(shown, METRICS, **options)


def test_scores_that_only_some_runs_have_are_named_too():
    assert score_names([{"dice.mean": 0.9, "by_source.a.dice": 0.8}, {"dice.mean": 0.7, "by_source.b.dice": 0.6}]) == [
        "dice.mean",
        "by_source.a.dice",
        "by_source.b.dice",
    ]


def test_an_experiment_is_read_with_flat_parameters_and_numbers():
    assert read(experiment("a", 0.9)).runs == [Run("a", {"train.seed": 1, "plot": 2}, {"dice.mean": 0.9})]


@pytest.mark.parametrize("given", ["my/x.zip", "./my//x.zip", str(Path("my/x.zip").resolve())])
def test_runs_on_other_data_differ_by_the_hashes_of_the_files_that_are_named(given):
    first, second = experiment("a", 0.9), experiment("b", 0.8)
    for each, digit in ((first, "1"), (second, "2")):
        shows = each["revs"][0]["data"]
        shows["outs"], shows["deps"] = {"data.csv": {"hash": digit * 32}}, {"my/x.zip": {"hash": "3" * 32}}
        shows["params"]["params.yaml"]["data"]["external"] = given
    data = ["data.csv", "external", "none.csv"]
    runs, unfinished = read(first, second, experiment("c", 0.7), data=data, scored=lambda rev: rev != "c")
    assert [run.name for run in runs] == ["a", "b"]
    assert unfinished == {"c": f"has no {METRICS} of its own"}
    hashes = [(run.params["hash of data.csv"], run.params["hash of external"]) for run in runs]
    assert hashes == [("1" * 7, "3" * 7), ("2" * 7, "3" * 7)]
    assert varied(runs) == ["hash of data.csv"]


def test_runs_of_other_code_or_start_models_do_not_repeat_each_other():
    def run(name, code, start):
        made = experiment(name, 0.9)
        deps = {"src/pkg": code, "stages/a.py": "1", "starts": start, "other": name}
        made["revs"][0]["data"]["deps"] = {path: {"hash": each * 32} for path, each in deps.items()}
        return made

    shown = [run("a", "1", "1"), run("b", "1", "1"), run("c", "2", "1"), run("d", "1", "2")]
    first, second, third, last = read(*shown, data=["starts"], code=("src/", "stages/")).runs
    assert varied([first, second]) == []
    assert varied([first, third]) == ["hash of code"]
    assert varied([first, last]) == ["hash of starts"]


def tuned(name, data, start="models/unet_model.keras", **split):
    made = experiment(name, 0.9)
    shows = made["revs"][0]["data"]
    shows["params"]["params.yaml"]["data"] |= {"train": {"start_from": start}, "split": split}
    shows["metrics"]["metrics/train.json"] = {"data": {"run": {"data": data * 16}}}
    return made


def test_runs_that_began_from_another_last_model_do_not_repeat_each_other():
    newest, other, older = read(tuned("a", "1"), tuned("b", "2"), tuned("c", "1")).runs
    assert varied([newest, other]) == ["hash of data and start model"]
    assert newest_alone([newest, other, older]) == [newest, other]
    assert [line.split()[-5] for line in summary([newest, other])][1:] == ["runs", "1", "1"]


@pytest.mark.parametrize("start", ["", "pretrained/nuclei.keras"])
def test_runs_that_begin_from_no_last_model_may_differ_in_the_split_and_repeat_each_other(start):
    runs = read(tuned("a", "1", start, fold=0), tuned("b", "2", start, fold=1)).runs
    assert [line.split()[0] for line in summary(runs)] == ["2", "runs", "2"]


def test_where_the_split_differs_a_line_says_that_runs_may_have_begun_from_different_models():
    last = "./models//unet_model.keras"
    _, line, _, row = summary(read(tuned("a", "1", last, fold=0), tuned("b", "2", last, fold=1)).runs)
    assert line.startswith("train.start_from=models/unet_model.keras is the last model when a run began: ")
    assert row.split()[0] == "2"


@pytest.mark.parametrize("state", ["queued", "running", "failed"])
def test_the_metrics_of_unfinished_work_are_the_commits_and_do_not_count(state):
    sweep = read(experiment("bad", 0.9, executor={"state": state}), experiment("a", 0.8, executor={"state": "success"}))
    assert [run.name for run in sweep.runs] == ["a"]
    assert sweep.unfinished == {"bad": state}


def test_an_experiment_whose_metrics_are_missing_or_not_its_own_does_not_count():
    broken = {"name": "broken", "revs": [{"rev": "1", "data": None, "error": {"msg": "x"}}]}
    sweep = read(
        experiment("a", 0.9), experiment("b", 0.8), broken, {"name": "new", "revs": None}, scored=lambda rev: rev == "b"
    )
    assert [run.name for run in sweep.runs] == ["b"]
    assert sweep.unfinished == {"a": f"has no {METRICS} of its own", "broken": "failed", "new": "failed"}


def test_experiments_of_before_are_passed_over_by_their_revision_as_a_name_may_be_used_again():
    failed = experiment("a", 0.1, executor={"state": "failed"}) | {"revs": [{"rev": "old", "data": None}]}
    sweep = read(failed, experiment("a", 0.9), experiment("b", 0.8), but={"old", "b-rev"})
    assert ([run.name for run in sweep.runs], sweep.unfinished) == (["a"], {})


def test_experiments_that_others_began_meanwhile_are_passed_over_by_their_names():
    waiting = experiment("queued", 0.1, executor={"state": "queued"})
    sweep = read(experiment("a", 0.9), experiment("b", 0.8), waiting, names={"a"})
    assert ([run.name for run in sweep.runs], sweep.unfinished) == (["a"], {})


def runs(*values):
    return [
        Run(str(n), {"train.epochs": epochs, "train.seed": seed}, {"dice.mean": dice})
        for n, (epochs, seed, dice) in enumerate(values)
    ]


def test_runs_that_differ_in_seeds_and_folds_alone_are_summarised_together_the_best_first():
    table = [line.split() for line in summary(runs((3, 0, 0.7), (3, 1, 0.8), (9, 0, 0.9)))]
    assert " ".join(table[0]) == "3 runs; varied: train.epochs, train.seed"
    assert table[1] == ["train.epochs", "runs", "dice.mean", "deviation", "lowest", "highest"]
    assert table[2] == ["9", "1", "0.9", "nan", "0.9", "0.9"]
    assert table[3] == ["3", "2", "0.75", "0.07071", "0.7", "0.8"]


def test_of_runs_with_all_values_equal_the_newest_counts():
    newest, other, older = runs((3, 0, 0.7), (3, 1, 0.8), (3, 0, 0.9))
    assert newest_alone([newest, other, older]) == [newest, other]


def test_runs_that_are_scored_on_another_archive_are_told_apart():
    def lines(*tests, method="grouped"):
        params = [{"split.test": test, "split.method": method} for test in tests]
        return list(summary([Run(str(n), each, {"dice.mean": 0.5}) for n, each in enumerate(params)]))

    assert lines(0.15, 0)[1].startswith("with split.test=0 the Dice is that of evaluate.external")
    for plain in (lines(0, 0), lines(0.15, 0.2), lines(0.15, 0, method="kfold")):
        assert not any("evaluate.external" in line for line in plain)


def test_runs_at_several_sizes_are_compared_at_the_images_own_size():
    sizes = {128: (0.9, 0.7), 256: (0.8, 0.75)}
    runs = [Run(f"{s}", {"image.size": s}, {"dice.mean": a, "native.dice.mean": b}) for s, (a, b) in sizes.items()]
    head, *rows = list(summary(runs))[1:]
    assert head.split() == ["image.size", "runs", "native.dice.mean", "deviation", "lowest", "highest"]
    assert [row.split()[:3] for row in rows] == [["256", "1", "0.75"], ["128", "1", "0.7"]]


def test_what_is_equal_in_all_runs_was_not_varied():
    assert varied(runs((3, 0, 0.7), (3, 1, 0.8))) == ["train.seed"]


def test_without_a_scored_run_the_error_says_how_to_run_a_sweep():
    with pytest.raises(InputError, match="unetseg sweep -S"):
        list(summary([]))
