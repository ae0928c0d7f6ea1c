import subprocess
import sys

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
pathlib.Path("metrics").mkdir(exist_ok=True)
pathlib.Path("metrics/evaluate.json").write_text(json.dumps({"dice": {"mean": 0.8 + fold / 10}}))
"""


def test_folds_gathers_the_experiments_of_this_commit_and_names_those_that_are_missing(tmp_path):
    def run(*words):
        done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout, done.stderr

    def commit():
        run("git", "add", ".")
        run("git", "commit", "-q", "-m", "x")

    dvc, folds = [sys.executable, "-m", "dvc"], [sys.executable, "-m", "unetseg.cli", "folds"]
    run("git", "init", "-q", "-b", "main")
    run("git", "config", "user.email", "test@example.org")
    run("git", "config", "user.name", "test")
    run(*dvc, "init", "-q")
    (tmp_path / "dvc.yaml").write_text(PIPELINE.replace("python", sys.executable))
    (tmp_path / "params.yaml").write_text("split: {method: kfold, folds: 2, fold: 0}\n")
    (tmp_path / "score.py").write_text(SCORE)
    run(*dvc, "repro")
    commit()
    code, _, err = run(*folds)
    assert (code, err.count("\n")) == (1, 1)
    assert "dvc exp run -S split.method=kfold" in err
    assert run(*dvc, "exp", "run", "-S", "split.fold=1")[0] == 0
    code, out, err = run(*folds)
    assert (code, err) == (1, "not yet scored: split.fold=0\n")
    assert out.startswith("1 of 2 folds\n")
    assert run(*dvc, "exp", "run", "-S", "split.fold=0")[0] == 0
    code, out, err = run(*folds)
    assert (code, err) == (0, "")
    assert out.splitlines()[-1].split() == ["dice.mean", "0.85", "0.07071", "0.8", "0.9"]
