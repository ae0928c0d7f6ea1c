"""What a kill cut off while dvc wrote it is restored from git or removed, and dvc goes on."""

import runpy
import shutil
import subprocess
import sys
from pathlib import Path

from pipeline import ran

ROOT = Path(__file__).parents[1]
MEND = [sys.executable, str(ROOT / "tools" / "repair_dvc.py")]


def test_a_whole_lock_stays_as_it_is(tmp_path):
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    lock = tmp_path / "dvc.lock"
    lock.write_bytes(whole := (ROOT / "dvc.lock").read_bytes())
    subprocess.run(MEND, cwd=tmp_path, check=True)
    assert lock.read_bytes() == whole


def test_a_missing_file_is_none_to_mend(tmp_path):
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    subprocess.run(MEND, cwd=tmp_path, check=True)
    assert [path.name for path in tmp_path.iterdir()] == [".git"]


def test_a_lock_that_dvc_refuses_is_removed_and_nothing_is_trained_again(finished, tmp_path):
    project = finished.copy(tmp_path / "project")
    lock = project.folder / "dvc.lock"
    whole = lock.read_text()
    for length in (0, whole.index("md5:") + 2):
        lock.write_text(whole[:length])
        assert project.try_run("dvc", "repro")[0] != 0, length
        told = subprocess.run(MEND, cwd=project.folder, check=True, capture_output=True, text=True).stderr
        assert told == "dvc.lock: was left incomplete by a kill, removed; finished stages come from the cache\n"
        printed = project.dvc("repro")
        assert ran(printed) == ["unzip"]  # whose files the cache does not hold
        assert project.contents() == finished.contents()
    assert lock.read_text() == whole


def test_a_lock_that_git_holds_is_restored_for_the_last_model_to_be_known(tmp_path):
    shutil.copy(ROOT / "dvc.lock", lock := tmp_path / "dvc.lock")
    subprocess.run("git init --quiet && git add dvc.lock", cwd=tmp_path, shell=True, check=True)
    whole = lock.read_bytes()
    lock.write_bytes(whole[: whole.index(b"md5:") + 2])
    told = subprocess.run(MEND, cwd=tmp_path, check=True, capture_output=True, text=True).stderr
    assert told == (
        "dvc.lock: was left incomplete by a kill, restored from git (the last model is the one that it names); "
        "finished stages come from the cache\n"
    )
    assert lock.read_bytes() == whole


def test_a_lock_with_a_merge_conflict_is_left_alone_and_the_way_out_is_named(tmp_path):
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    lock = tmp_path / "dvc.lock"
    lock.write_text(conflict := "schema: '2.0'\n<<<<<<< HEAD\nstages: {}\n=======\nstages:\n>>>>>>> theirs\n")
    done = subprocess.run(MEND, cwd=tmp_path, check=False, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == (
        "dvc.lock: holds a merge conflict; take one side, `git checkout --ours dvc.lock` or "
        "`git checkout --theirs dvc.lock`, then `dvc repro`\n"
    )
    assert lock.read_text() == conflict


def test_a_note_of_who_reads_and_writes_that_was_cut_off_is_removed(finished, tmp_path):
    project = finished.copy(tmp_path / "project")
    project.clear("unzip")
    note = project.folder / ".dvc" / "tmp" / "rwlock"
    note.write_text("")
    assert "corrupted" in project.try_run("dvc", "repro")[1]
    told = subprocess.run(MEND, cwd=project.folder, check=True, capture_output=True, text=True).stderr
    assert told.startswith(".dvc/tmp/rwlock: was left incomplete by a kill")
    assert ran(project.dvc("repro")) == ["unzip"]


def test_a_file_that_a_running_dvc_finishes_meanwhile_stays(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    subprocess.run(["git", "init", "--quiet"], check=True)
    lock = Path("dvc.lock")
    lock.touch()
    monkeypatch.setattr("time.sleep", lambda _: lock.write_text("schema: '2.0'\nstages: {}\n"))
    runpy.run_path(MEND[1], run_name="__main__")
    assert lock.exists()
