import os
import runpy
import signal
import sys
from pathlib import Path

import pytest
import yaml
from brightness import write_samples
from dvc.repo import Repo
from values import params

from unetseg.errors import InputError
from unetseg.model import keras
from unetseg.training import workers

ROOT = Path(__file__).parents[2]
OF_DVC = pytest.mark.filterwarnings("ignore:_NoneStep:DeprecationWarning")  # pygtrie's, as dvc uses it
STAGE = runpy.run_path(str(ROOT / "stages" / "train.py"))


@pytest.fixture
def paths(tmp_path):
    arrays, _, split = write_samples(tmp_path, ["test", "train", "validation", "test"])
    out = tmp_path / "out"
    outputs = {"model": out / "m.keras", "history": out / "history.csv", "metrics": out / "train.json"}
    starts = tmp_path / "starts"
    starts.mkdir()
    return {"arrays": arrays, "split": split, "starts": starts, "state": out / "state", **outputs}


@pytest.fixture
def at_once():
    """Fail what hangs: a pipe without a writer, a device without an end."""

    def late(_number, _frame):
        pytest.fail("not refused within two seconds")

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, 2)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture
def printed(paths, tmp_path, monkeypatch, capsys):
    """Run the stage with some other values in params.yaml; give the lines that it prints on stderr when it fails."""

    def lines(**changed):
        content = params().model_dump()
        content |= {name: content[name] | values for name, values in changed.items()}
        (tmp_path / "params.yaml").write_text(yaml.safe_dump(content))
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", ["train.py", *(f"--{name}={path}" for name, path in paths.items())])
        with pytest.raises(SystemExit) as stop:
            runpy.run_path(str(ROOT / "stages" / "train.py"), run_name="__main__")
        assert stop.value.code == 1
        return capsys.readouterr().err.splitlines()

    return lines


@pytest.fixture
def way_back(paths, tmp_path, monkeypatch):
    """Keep a model in DVC's cache alone; give the line that says how to get it back."""
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path / "site"))
    paths["model"].parent.mkdir()
    paths["model"].touch()
    with Repo.init(tmp_path, no_scm=True) as project:
        project.add(str(paths["model"]))
    paths["model"].unlink()
    return f"to get the last model back: dvc checkout {paths['model']}"


def test_a_training_is_not_gone_on_with_on_another_backend(paths, monkeypatch):
    states = []

    def train(*_, state, **_values):
        states.append(state)
        raise InputError("enough")

    for name, stub in (("train", train), ("open_batches", lambda *_, **_values: ())):
        monkeypatch.setitem(STAGE["main"].__globals__, name, stub)
    for backend in ("tensorflow", "jax", "jax"):
        monkeypatch.setattr(keras.backend, "backend", lambda backend=backend: backend)
        with pytest.raises(InputError, match="enough"):
            STAGE["main"](params(), **paths)
    assert states[0] != states[1] == states[2]


def test_the_live_model_is_not_in_the_cache_before_a_training_has_finished(paths, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"m\.keras is not there: no training has finished here, .* or DVC's cache"):
        STAGE["main"](params(train={"start_from": str(paths["model"])}), **paths)


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("kind", ["device", "pipe", "folder", "missing"])
def test_a_start_that_is_no_file_is_refused_at_once_and_no_way_back_is_named_without_a_cached_model(
    paths, printed, tmp_path, kind
):
    start = Path("/dev/zero") if kind == "device" else tmp_path / kind
    if kind == "pipe":
        os.mkfifo(start)
    elif kind == "folder":
        start.mkdir()
    (line,) = printed(train={"start_from": str(start)})
    assert line == f"train.start_from: {start}: no file is there; name a .keras file, or none (empty)"
    assert not paths["model"].parent.exists()


@OF_DVC
def test_a_refused_value_of_params_yaml_names_the_way_back_to_the_cached_model_too(way_back, printed):
    first, second = printed(train={"epochs": 0})
    assert "train.epochs: 0: " in first
    assert second == way_back


@OF_DVC
def test_the_way_back_that_a_worker_has_named_is_named_once(way_back, printed, monkeypatch):
    def fail():
        raise InputError("x: wrong", way_back)

    monkeypatch.setattr(workers, "start_workers", fail)
    assert printed(train={"distribute": "data_parallel"}) == ["x: wrong", way_back]


def test_a_start_that_dvc_does_not_watch_is_refused_and_one_in_the_folder_of_starts_is_taken(paths, tmp_path):
    find = STAGE["find_start"]
    elsewhere, inside = tmp_path / "m.keras", paths["starts"] / "m.keras"
    elsewhere.touch()
    inside.touch()
    assert find(inside, paths["model"], paths["starts"], tmp_path / "copy") == [inside]
    assert find(Path(), paths["model"], paths["starts"], tmp_path / "copy") == []
    with pytest.raises(InputError, match=rf"{elsewhere}: DVC does not watch it; copy it to {paths['starts']}/"):
        find(elsewhere, paths["model"], paths["starts"], tmp_path / "copy")
