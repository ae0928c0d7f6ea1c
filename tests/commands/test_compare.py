import hashlib
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest
from dvc.utils.serialize import dump_yaml
from pipeline import Project

from unetseg.cli import main


def table(path, **dice):
    path.parent.mkdir(exist_ok=True)
    path.write_text("id,group,dice\n" + "".join(f"{name},{name},{value}\n" for name, value in dice.items()))
    return str(path)


def test_compare_prints_the_verdict_and_names_what_it_left_out(tmp_path, capsys):
    first = table(tmp_path / "a.csv", one=0.5, two=0.6, three=0.7, gone=0.1)
    second = table(tmp_path / "b.csv", one=0.6, two=0.7, three=0.8)
    assert main(["compare", first, second]) == 0
    out, err = capsys.readouterr()
    assert out.startswith(f"{second} is better than {first}: mean Dice +0.1000")
    assert err == f"left out, only in {first}: gone\n"


def test_compare_refuses_a_missing_or_foreign_file_in_one_line(tmp_path, capsys):
    good = table(tmp_path / "a.csv", one=0.5)
    foreign = tmp_path / "picture.png"
    foreign.write_bytes(b"\x89PNG\xff\xfe")
    for bad in (tmp_path / "missing.csv", foreign):
        with pytest.raises(SystemExit) as stop:
            main(["compare", good, str(bad)])
        assert stop.value.code == 1
        err = capsys.readouterr().err
        assert str(bad) in err
        assert err.count("\n") == 1


@pytest.mark.usefixtures("programs")
def test_compare_reads_two_revisions_or_the_workspace(tmp_path):
    project = Project(tmp_path)
    project.init()
    for tag, dice in (("first", 0.5), ("second", 0.4)):
        table(tmp_path / "metrics" / "per_image.csv", one=dice, two=dice, three=dice)
        project.dvc("add", "-q", "metrics/per_image.csv")
        project.commit(tag)
    code, out, err = project.unetseg("compare", "--rev", "first", "second")
    assert (code, err) == (0, "")
    assert out.startswith("second is worse than first: mean Dice -0.1000")
    table(tmp_path / "metrics" / "per_image.csv", one=0.9, two=0.9, three=0.9)
    assert project.unetseg("compare", "--rev", "second", "workspace")[1].startswith(
        "workspace is better than second: mean Dice +0.5000"
    )
    code, _, err = project.unetseg("compare", "--rev", "first", "nowhere")
    assert code == 1
    assert err.startswith("nowhere: its metrics/per_image.csv cannot be read")
    assert err.count("\n") == 1
    shutil.rmtree(tmp_path / ".dvc" / "cache")
    err = project.unetseg("compare", "--rev", "first", "second")[2]
    rule = "DVC's cache does not hold it; `dvc pull` it, or check the revision out and `dvc repro`"
    assert err == f"first: its metrics/per_image.csv cannot be read: {rule}\n"


@pytest.mark.usefixtures("programs")
def test_compare_refuses_an_experiment_whose_scores_are_those_of_the_commit_before(tmp_path):
    project = Project(tmp_path)
    project.init()
    scores = tmp_path / "metrics" / "per_image.csv"
    stage = 'cmd: "true"\n    deps: [my.zip, starts, src/pkg]\n    params: [split]'
    (tmp_path / "my.zip").write_bytes(b"data")
    for name in ("starts/a.keras", "starts/more/é.keras", "src/pkg/a.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / "dvc.yaml").write_text(f"stages:\n  evaluate:\n    {stage}\n    outs: [metrics/per_image.csv]\n")
    (tmp_path / "params.yaml").write_text("split: {fold: 0}\n")
    table(scores, one=0.5, two=0.6)
    project.dvc("commit", "-q", "-f")
    project.commit("scored")
    (tmp_path / "params.yaml").write_text("split: {fold: 1}\n")
    project.commit("unfinished")
    code, out, err = project.unetseg("compare", "--rev", "scored", "unfinished")
    assert (code, out) == (1, "")
    assert err.startswith("unfinished: is not yet scored: metrics/per_image.csv is of a run with other split;")
    (tmp_path / "params.yaml").write_text("split: {fold: 0}\n")
    for name, dep in (("my.zip", "my.zip"), ("starts/more/é.keras", "starts")):
        before = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(b"other")
        project.commit("replaced")
        for revision in ("replaced", "workspace"):
            err = project.unetseg("compare", "--rev", "scored", revision)[2]
            assert err.startswith(f"{revision}: is not yet scored: metrics/per_image.csv is of a run with other {dep};")
        (tmp_path / name).write_bytes(before)
        project.run("git", "tag", "--delete", "replaced")
    (tmp_path / "src" / "pkg" / "a.py").write_text("# other")
    project.run("git", "rm", "--cached", "--quiet", "starts/a.keras")
    (tmp_path / ".gitignore").write_text("/starts/a.keras\n")
    project.commit("lacking")  # a start model that git does not hold
    for revision in ("lacking", "workspace"):
        assert project.unetseg("compare", "--rev", "scored", revision)[2] == ""


@pytest.fixture
def scored(tmp_path, monkeypatch):
    """The dvc.lock of a small pipeline whose workspace is scored; it is the working folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path / "site"))
    subprocess.run(["git", "init", "--quiet"], check=True)
    Path(".dvc").mkdir()
    Path("params.yaml").touch()
    Path("dvc.yaml").write_text('stages:\n  evaluate:\n    cmd: "true"\n    outs: [metrics/per_image.csv]\n')
    md5 = hashlib.md5(Path(table(tmp_path / "metrics" / "per_image.csv", one=0.5, two=0.6)).read_bytes()).hexdigest()
    outs = [{"path": "metrics/per_image.csv", "hash": "md5", "md5": md5}]
    dump_yaml("dvc.lock", {"schema": "2.0", "stages": {"evaluate": {"cmd": "true", "outs": outs}}})
    return tmp_path / "dvc.lock"


def compare_the_workspace(capsys):
    with suppress(SystemExit):
        main(["compare", "--rev", "workspace", "workspace"])
    return capsys.readouterr().err


def test_compare_refuses_a_table_that_another_state_left_in_the_workspace(scored, capsys):
    assert compare_the_workspace(capsys) == ""
    table(scored.parent / "metrics" / "per_image.csv", one=0.7, two=0.6)
    rule = "metrics/per_image.csv is not the one in dvc.lock; `dvc checkout` it or `dvc repro`"
    assert compare_the_workspace(capsys) == f"workspace: {rule}\n"
    (scored.parent / "metrics" / "per_image.csv").unlink()
    assert "cannot be read: DVC's cache does not hold it" in compare_the_workspace(capsys)


@pytest.mark.parametrize("lock", [None, {}, {"split": {"cmd": "true", "outs": []}}])
def test_compare_refuses_scores_of_which_dvc_lock_holds_no_run(lock, scored, capsys):
    scored.unlink() if lock is None else dump_yaml(scored, {"schema": "2.0", "stages": lock})
    rule = "dvc.lock holds no run that made metrics/per_image.csv; wait for its end, or run it again"
    assert compare_the_workspace(capsys) == f"workspace: is not yet scored: {rule}\n"
    Path("dvc.yaml").write_text("stages: {}\n")  # a table that no stage makes is taken as it is
    assert compare_the_workspace(capsys) == ""
