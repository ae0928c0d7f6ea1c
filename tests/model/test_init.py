"""The import of Keras by the package `unetseg.model`, each in a process of its own."""

import os
import subprocess
import sys

import pytest

import unetseg.model
from unetseg.errors import InputError

IMPORT = """
import gc, sys
from unetseg.model import keras
print(sorted({"matplotlib", "pandas", "sklearn", "jax", "tensorflow"} & sys.modules.keys()), gc.isenabled())
import matplotlib, sklearn
print(keras.ops.convert_to_numpy(keras.ops.ones(2)).sum())
"""


@pytest.mark.parametrize("backend", ["jax", "torch"])
@pytest.mark.parametrize("chosen_by", ["KERAS_BACKEND", "keras.json"])
def test_a_backend_that_is_not_installed_is_named_in_one_line(backend, chosen_by, tmp_path):
    (tmp_path / f"{backend}.py").write_text(f"raise ModuleNotFoundError('No module', name='{backend}')")
    (tmp_path / "keras.json").write_text(f'{{"backend": "{backend}"}}')
    environment = {name: value for name, value in os.environ.items() if name != "KERAS_BACKEND"}
    environment |= {"KERAS_HOME": str(tmp_path), "PYTHONPATH": f"{tmp_path}{os.pathsep}src"}
    environment |= {"KERAS_BACKEND": backend} if chosen_by == "KERAS_BACKEND" else {}
    run = subprocess.run(
        [sys.executable, "stages/train.py"], env=environment, check=False, capture_output=True, encoding="utf-8"
    )
    assert run.returncode == 1
    assert run.stderr.count("\n") == 1
    assert f"{chosen_by}: asks for {backend}, which is not installed; " in run.stderr


@pytest.mark.parametrize("backend", ["numpy", "bogus", "Tensorflow"])
@pytest.mark.parametrize("chosen_by", ["KERAS_BACKEND", "keras.json"])
def test_what_is_no_backend_is_refused_in_one_line(backend, chosen_by, tmp_path, monkeypatch):
    (tmp_path / "keras.json").write_text(f'{{"backend": "{backend}"}}')
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setenv("KERAS_BACKEND", backend if chosen_by == "KERAS_BACKEND" else "")
    monkeypatch.delitem(sys.modules, "keras", raising=False)
    with pytest.raises(InputError, match=rf"{chosen_by}: '{backend}': choose tensorflow or jax$"):
        _ = unetseg.model.keras


def test_a_settings_file_of_keras_that_is_no_object_is_named(tmp_path, monkeypatch):
    (tmp_path / "keras.json").write_text("[]")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setenv("KERAS_BACKEND", "")
    monkeypatch.delitem(sys.modules, "keras", raising=False)
    with pytest.raises(InputError, match=r"keras\.json: is no object of JSON"):
        _ = unetseg.model.keras


@pytest.mark.parametrize("closed", ["2>&-", "0<&- 2>&-"])
def test_with_stderr_closed_keras_is_imported_and_what_would_stand_there_is_nowhere(closed, tmp_path):
    (tmp_path / "keras.py").write_text("import os; os.write(2, b'said by TensorFlow')")
    program = """
import unetseg.stage, os
from unetseg.model import keras
from unetseg.progress import progress
os.write(2, b"said later")
print(list(progress([5], "predict", 1)), os.path.samestat(os.fstat(2), os.stat(os.devnull)))
"""
    command = ["sh", "-c", f'exec "$0" -c "$1" {closed}', sys.executable, program]
    environment = os.environ | {"PYTHONPATH": f"{tmp_path}{os.pathsep}src"}
    assert subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE).stdout == b"[5] True\n"


@pytest.mark.slow
@pytest.mark.parametrize(("backend", "settings"), [("tensorflow", "jax"), (None, "jax")])
def test_keras_is_imported_in_silence_with_its_backend_alone(backend, settings, tmp_path):
    if not backend:
        pytest.importorskip("jax")
    (tmp_path / "keras.json").write_text(f'{{"backend": "{settings}"}}')
    environment = {name: value for name, value in os.environ.items() if name != "KERAS_BACKEND"}
    environment |= {"KERAS_HOME": str(tmp_path), "PYTHONPATH": "src"} | ({"KERAS_BACKEND": backend} if backend else {})
    run = subprocess.run(
        [sys.executable, "-c", IMPORT], env=environment, check=True, capture_output=True, encoding="utf-8"
    )
    assert run.stdout == f"['{backend or settings}'] True\n2.0\n"
    assert run.stderr == ""


@pytest.mark.parametrize(
    ("backend", "settings", "found"), [(None, "tensorflow", False), ("jax", "tensorflow", True), (None, "jax", True)]
)
def test_keras_finds_jax_only_where_it_is_the_backend(backend, settings, found, tmp_path, monkeypatch):
    (tmp_path / "jax.py").touch()
    (tmp_path / "keras.py").write_text("try:\n    import jax\nexcept ImportError:\n    jax = None")
    (tmp_path / "keras.json").write_text(f'{{"backend": "{settings}"}}')
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setenv("KERAS_BACKEND", backend or "")
    for name in ("keras", "jax"):
        monkeypatch.setitem(sys.modules, name, None)  # so that what is imported now goes when the test ends
        del sys.modules[name]
    assert bool(unetseg.model.keras.jax) == found
