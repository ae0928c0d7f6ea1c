"""The import of Keras by the package `unetseg.model`, each in a process of its own."""

import os
import subprocess
import sys

import pytest

IMPORT = """
import gc, sys
from unetseg.model import keras
print(sorted({"matplotlib", "pandas", "sklearn", "jax", "tensorflow"} & sys.modules.keys()), gc.isenabled())
import matplotlib, sklearn
print(keras.ops.convert_to_numpy(keras.ops.ones(2)).sum())
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("backend", "settings"), [("tensorflow", "jax"), (None, "tensorflow"), ("jax", "tensorflow"), (None, "jax")]
)
def test_keras_is_imported_in_silence_with_its_backend_alone(backend, settings, tmp_path):
    if "jax" in (backend or settings):
        pytest.importorskip("jax")
    (tmp_path / "keras.json").write_text(f'{{"backend": "{settings}"}}')
    environment = {name: value for name, value in os.environ.items() if name != "KERAS_BACKEND"}
    environment |= {"KERAS_HOME": str(tmp_path), "PYTHONPATH": "src"} | ({"KERAS_BACKEND": backend} if backend else {})
    run = subprocess.run(
        [sys.executable, "-c", IMPORT], env=environment, check=True, capture_output=True, encoding="utf-8"
    )
    assert run.stdout == f"['{backend or settings}'] True\n2.0\n"
    assert run.stderr == ""
