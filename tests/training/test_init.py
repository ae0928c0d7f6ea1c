"""What TensorFlow computes with in the stage `train`."""

import importlib
import os
import subprocess
import sys

import pytest

import unetseg.training

IMPORT = """
import runpy
runpy.run_path("stages/train.py", run_name="imported")
from tensorflow.python.util._pywrap_util_port import IsMklEnabled
print(IsMklEnabled())
"""


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="TensorFlow has oneDNN on Linux alone")
def test_the_stage_train_computes_with_onednn():
    own = {"PYTHONPATH": "src", "KERAS_BACKEND": "tensorflow"}
    environment = {name: value for name, value in os.environ.items() if name != "TF_ENABLE_ONEDNN_OPTS"} | own
    run = subprocess.run([sys.executable, "-c", IMPORT], env=environment, check=True, capture_output=True, text=True)
    assert run.stdout == "True\n"


def test_the_environment_may_say_otherwise(monkeypatch):
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "0")
    importlib.reload(unetseg.training)
    assert os.environ["TF_ENABLE_ONEDNN_OPTS"] == "0"
