"""Experiments as users run and compare them: dvc's commands on a small project, whose training one of them shortens."""

import csv
import io
import json

import pytest
from pipeline import Project, ran, restored


@pytest.fixture(scope="module")
def short(finished, tmp_path_factory):
    """The project after its first run, committed, and an experiment of one epoch. Shared: work on copies of it."""
    folder = tmp_path_factory.mktemp("experiments")
    project = finished.copy(folder / "project")
    project.commit()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Project, "programs", project.copying("plot", beside=folder / "copied"))
        printed = project.dvc("exp", "run", "-S", "train.epochs=1", "--name", "short")
    assert ran(printed) == ["train", "evaluate", "plot"]
    return project


def committed(project, file):
    return json.loads(project.run("git", "show", f"HEAD:{file}"))


def written(project, file):
    return json.loads((project.folder / file).read_text())


def test_exp_show_has_a_row_for_the_commit_and_one_for_the_experiment(short):
    rows = list(csv.DictReader(io.StringIO(short.dvc("exp", "show", "--csv"))))
    scores = [f["best"]["dice"] for f in (written(short, "metrics/train.json"), committed(short, "metrics/train.json"))]
    head = short.run("git", "rev-parse", "HEAD").strip()
    found = {row["Experiment"] or row["rev"]: (row["train.epochs"], float(row["best.dice"])) for row in rows}
    names = {"workspace", *(name for name in found if name == "main" or head.startswith(name)), "short"}
    assert set(found) == names  # the commit goes by its branch, or by its number where none is checked out
    assert len(names) == 3
    assert found["workspace"] == found["short"] == ("1", pytest.approx(scores[0]))
    (baseline,) = names - {"workspace", "short"}
    assert found[baseline] == ("3", pytest.approx(scores[1]))


def test_params_diff_names_what_was_changed_and_no_more(short):
    expected = {"params.yaml": {"train.epochs": {"old": 3, "new": 1, "diff": -2}}}
    assert json.loads(short.dvc("params", "diff", "--json")) == expected
    assert json.loads(short.dvc("params", "diff", "HEAD", "short", "--json")) == expected


def test_metrics_diff_compares_the_scores(short):
    compared = json.loads(short.dvc("metrics", "diff", "HEAD", "short", "--json"))
    old, new = committed(short, "metrics/train.json"), written(short, "metrics/train.json")
    assert compared["metrics/train.json"]["epochs"] == {"old": 3, "new": 1, "diff": -2}
    dice = compared["metrics/train.json"]["best.dice"]
    assert (dice["old"], dice["new"]) == (old["best"]["dice"], new["best"]["dice"])
    assert old["best"]["dice"] != new["best"]["dice"]
    assert "metrics/split.json" not in compared
    assert "best.dice" in short.dvc("metrics", "diff")


def test_metrics_show_gives_both_runs(short):
    shown = json.loads(short.dvc("metrics", "show", "--json", "--all-branches"))
    epochs = {name: run["data"]["metrics/train.json"]["data"]["epochs"] for name, run in shown.items()}
    assert epochs == {"workspace": 1, "main": 3}


def test_plots_diff_draws_both_runs_into_one_chart(short):
    charts = json.loads(short.dvc("plots", "diff", "HEAD", "short", "--json"))["data"]
    (curves,) = charts["Dice over the epochs"]
    values = curves["content"]["data"]["values"]
    epochs = {
        revision: {value["epoch"] for value in values if value["rev"] == revision} for revision in ("HEAD", "short")
    }
    assert epochs == {"HEAD": {"1", "2", "3"}, "short": {"1"}}
    page = short.dvc("plots", "diff", "HEAD", "short", "--out", "compared").strip()
    assert page.endswith("compared/index.html")
    assert (short.folder / "compared" / "index.html").stat().st_size > 10_000


def test_going_back_to_old_values_restores_the_old_run_without_training(short, finished, tmp_path):
    project = short.copy(tmp_path / "project")
    project.change({"train": {"epochs": 3}})
    printed = project.dvc("repro")
    assert ran(printed) == []
    assert restored(printed) == ["train", "evaluate", "plot"]
    assert project.contents() == finished.contents()
    assert project.run("git", "status", "--short", "params.yaml", "metrics") == ""


def test_the_tables_that_the_guides_name_fit_a_screen(short):
    wide = {"COLUMNS": "100000"}
    asked = ("--only-changed", "--drop", ".*[./]", "--keep", "train.epochs")
    table = short.run("env", *(f"{name}={value}" for name, value in wide.items()), "dvc", "exp", "show", *asked)
    assert max(map(len, table.splitlines())) < 200
    header = next(line.split() for line in table.splitlines() if "Experiment" in line)
    assert {"dice", "dice_low", "dice_high", "train.epochs"} <= set(header)
    summary = short.dvc("metrics", "show", "metrics/summary.json")
    assert max(map(len, summary.splitlines())) < 130
    assert "dice" in summary
