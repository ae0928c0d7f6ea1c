import re
import subprocess
from pathlib import Path

import pytest
from pipeline import Project

from unetseg.cli import main
from unetseg.evaluation.sweeps import Run, Sweep

PIPELINE = """
stages:
  evaluate:
    cmd: python score.py
    params: [split]
    metrics:
      - metrics/evaluate.json: {cache: false}
"""
SCORE = """
import json, pathlib, re
fold = int(re.search("fold: ([0-9])", pathlib.Path("params.yaml").read_text())[1])
assert fold < 2
pathlib.Path("metrics").mkdir(exist_ok=True)
pathlib.Path("metrics/evaluate.json").write_text(json.dumps({"dice": {"mean": 0.8 + fold / 10}}))
"""


@pytest.mark.usefixtures("programs")
def test_a_sweep_gathers_what_two_workers_scored_and_names_what_failed_and_folds_does_so_too(tmp_path):
    project = Project(tmp_path)
    project.init()
    (tmp_path / "dvc.yaml").write_text(PIPELINE)
    (tmp_path / "params.yaml").write_text("split: {method: kfold, folds: 3, fold: 0}\n")
    (tmp_path / "score.py").write_text(SCORE)
    project.dvc("repro")
    project.commit()
    project.dvc("exp", "run", "--name", "earlier", "--set-param", "split.fold=1")
    code, out, err = project.unetseg("sweep", "--jobs", "2", "--name", "cv", "-S", "split.fold=range(0,3)")
    assert code == 1
    assert out.splitlines()[0] == "2 runs; varied: split.fold"
    assert out.splitlines()[-1].split() == ["2", "0.85", "0.07071", "0.8", "0.9"]
    assert err.splitlines()[-1] == "left out, not scored: cv-3: failed"
    table = (tmp_path / "metrics" / "sweep.csv").read_text().splitlines()
    assert (table[0], len(table)) == ("name,split.fold,dice.mean", 3)
    assert (tmp_path / "metrics" / "sweep.png").stat().st_size > 1000
    code, out, err = project.unetseg("folds")
    older = "left out, older runs with all values, data and code of a newer one: 1"
    assert (code, err) == (1, f"left out, not scored: cv-3: failed\n{older}\nnot yet scored: split.fold=2\n")
    assert out.splitlines()[0] == "2 of 3 folds"
    assert out.splitlines()[-1].split() == ["dice.mean", "0.85", "0.07071", "0.8", "0.9"]
    project.dvc("exp", "remove", "cv-1")
    assert project.unetseg("sweep", "--name", "cv", "-S", "split.fold=0,1")[0] == 1  # cv-1 is queued, cv-2 is there
    assert "Queued" not in project.dvc("queue", "status")
    project.dvc("exp", "run", "--queue", "--name", "late", "-S", "split.fold=1")
    (tmp_path / "new").touch()
    project.commit()  # what is queued for another commit waits, too
    code, _, err = project.unetseg("sweep", "-S", "split.fold=0")
    assert code == 1
    assert re.match(r"1 experiments wait in DVC's queue, such as \w+ late: ", err)


@pytest.mark.parametrize(("out", "stem"), [("lr0.1", "lr0.1"), ("a", "a"), ("a.csv", "a"), ("a.png", "a")])
def test_a_dot_in_the_name_of_the_outputs_is_part_of_it(out, stem, tmp_path, monkeypatch):
    runs = [Run(name, {"train.seed": seed}, {"dice.mean": 0.8}) for seed, name in enumerate("ab")]
    monkeypatch.setattr("unetseg.commands.sweep.read_experiments", lambda _but, _names: Sweep(runs, {}))
    assert main(["sweep", "--out", str(tmp_path / out)]) == 0
    assert {path.name for path in tmp_path.iterdir()} == {f"{stem}.csv", f"{stem}.png"}


def test_the_plot_of_an_earlier_sweep_goes_where_nothing_was_varied(tmp_path, monkeypatch):
    (tmp_path / "a.csv").write_text("name,train.seed,dice.mean\nb,0,0.8\nc,1,0.8\n")
    (tmp_path / "a.png").touch()
    sweep = Sweep([Run("a", {"train.seed": 0}, {"dice.mean": 0.8})], {})
    monkeypatch.setattr("unetseg.commands.sweep.read_experiments", lambda _but, _names: sweep)
    assert main(["sweep", "--out", str(tmp_path / "a")]) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]


@pytest.mark.parametrize(
    ("values", "rule"),
    [(["-S", "train.seed=0"], "none of the runs that this sweep began"), ([], "no experiment")],
)
def test_files_of_an_earlier_sweep_are_named_if_no_run_was_scored(values, rule, tmp_path, monkeypatch, capsys):
    def dvc(words, **_):
        return subprocess.CompletedProcess(words, 0, "[]" if "show" in words else "", "")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(subprocess, "run", dvc)
    Path("a.csv").write_text("name,train.seed,dice.mean\nb,0,0.8\n")
    Path("a.png").touch()
    with pytest.raises(SystemExit) as stop:
        main(["sweep", *values, "--out", "a"])
    assert stop.value.code == 1
    older, last = capsys.readouterr().err.splitlines()
    assert older == "of an earlier sweep, left as it is: a.csv, a.png"
    assert last.startswith(rule)


def test_an_interrupt_takes_back_the_runs_that_wait_and_says_what_goes_on(tmp_path, monkeypatch, capsys):
    asked = []

    def dvc(words, **_):
        asked.append(words[3:])
        if "--run-all" in words:
            raise KeyboardInterrupt
        return subprocess.CompletedProcess(words, 0, "[]" if "show" in words else "", "")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(subprocess, "run", dvc)
    with pytest.raises(SystemExit):
        main(["sweep", "-S", "train.seed=0,1"])
    assert asked[-1] == ["exp", "remove", "--queue"]
    told, last = capsys.readouterr().err.splitlines()
    assert told.endswith("what has begun goes on; to stop it: dvc queue stop --kill")
    assert last == "interrupted"


@pytest.mark.parametrize("name", ["groups.csv", "cells.png", "binary.csv", "empty.csv"])
def test_a_file_that_no_sweep_wrote_is_told_before_any_run_and_stays(name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    content = {"binary.csv": b"\xff", "empty.csv": b""}.get(name, b"name,patient\na,b\n")
    Path(name).write_bytes(content)
    with pytest.raises(SystemExit):
        main(["sweep", "-S", "train.seed=0", "--out", name])
    rule = "is there already and not of an earlier run; move it or name another output"
    assert capsys.readouterr().err == f"{name}: {rule}\n"
    assert Path(name).read_bytes() == content


@pytest.mark.parametrize("name", ["a.csv", "a.png"])
def test_a_folder_in_the_place_of_an_output_of_a_sweep_is_told_before_any_run(name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("a.csv").write_text("name,dice.mean\nb,0.8\n")
    Path(name).unlink(missing_ok=True)
    Path(name).mkdir()
    with pytest.raises(SystemExit):
        main(["sweep", "-S", "train.seed=0", "--out", "a"])
    assert capsys.readouterr().err == f"{name}: is a folder; name another output\n"


@pytest.mark.parametrize("words", [["--name", "lr"], ["--jobs", "2"]])
def test_options_of_runs_are_refused_where_none_is_asked_for(words, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["sweep", *words])
    assert stop.value.code == 1
    assert "--name and --jobs are of runs: give their values with -S" in capsys.readouterr().err
