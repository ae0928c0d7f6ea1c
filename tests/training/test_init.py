"""What TensorFlow computes with in the stage `train`."""

import os
import subprocess
import sys

import pytest

IMPORT = """
import runpy
runpy.run_path("stages/train.py", run_name="imported")
from tensorflow.python.util._pywrap_util_port import IsMklEnabled
print(IsMklEnabled())
"""


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="TensorFlow has oneDNN on Linux alone")
@pytest.mark.parametrize(("chosen", "used"), [(None, True), ("0", False)])
def test_the_stage_train_computes_with_onednn_unless_the_environment_says_otherwise(chosen, used):
    own = {"PYTHONPATH": "src", "KERAS_BACKEND": "tensorflow"} | ({"TF_ENABLE_ONEDNN_OPTS": chosen} if chosen else {})
    environment = {name: value for name, value in os.environ.items() if name != "TF_ENABLE_ONEDNN_OPTS"} | own
    run = subprocess.run([sys.executable, "-c", IMPORT], env=environment, check=True, capture_output=True, text=True)
    assert run.stdout == f"{used}\n"
