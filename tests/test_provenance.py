"""Where git is not there or refuses, whatever needs it says in a line what to do."""

import re
import runpy
import subprocess
from pathlib import Path

import pytest

from unetseg.cli import main
from unetseg.provenance import git_problem, provenance

ROOT = Path(__file__).parents[1]
ZIP = "is no git repository, as after Download ZIP; clone it, or run: git init"
OWNER = "another user owns it, so git refuses to read it; to allow it: git config --global --add safe.directory"


@pytest.fixture(params=[ZIP, OWNER])
def told(request, tmp_path, monkeypatch):
    """Work in a folder without a repository, or in one of another owner; what is to be told of it."""
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    if request.param == OWNER:
        subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
        monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
        monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    monkeypatch.chdir(tmp_path)
    return f"{tmp_path}: {request.param}"


def test_in_a_repository_there_is_no_problem(tmp_path):
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    assert git_problem(tmp_path) is None


def test_comparing_revisions_names_the_remedy(told, capsys):
    with pytest.raises(SystemExit):
        main(["compare", "--rev", "HEAD", "workspace"])
    assert re.fullmatch(f"{re.escape(told)}.*\n", capsys.readouterr().err)


def test_make_repro_stops_before_dvc_and_names_the_remedy(told):
    with pytest.raises(SystemExit) as stop:
        runpy.run_path(str(ROOT / "tools" / "repair_dvc.py"), run_name="__main__")
    assert str(stop.value.code).startswith(told)


def test_folds_names_the_remedy(told, capsys, monkeypatch):
    failed = subprocess.CompletedProcess([], 255, "", "ERROR: unexpected error")
    plain = subprocess.run
    monkeypatch.setattr(subprocess, "run", lambda words, **how: failed if "exp" in words else plain(words, **how))
    with pytest.raises(SystemExit):
        main(["folds"])
    assert capsys.readouterr().err.startswith(told)


def test_a_run_whose_code_git_cannot_tell_says_so_and_goes_on(told, capsys, monkeypatch):
    monkeypatch.setattr("unetseg.provenance.__file__", str(Path.cwd() / "provenance.py"))
    assert provenance({}, [])["code"] == "unknown"
    assert capsys.readouterr().err.startswith(f"provenance: the code's version is recorded as unknown: {told}")


def test_a_machine_without_git_is_told_to_install_it(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert git_problem(tmp_path) == "git is not installed; install it"
