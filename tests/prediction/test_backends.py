"""Prediction on the other backend, in a process of its own."""

import os
import subprocess

import numpy as np
import pytest
from devices import QUICK
from values import small_unet

from unetseg.model import keras
from unetseg.prediction.predictor import Predictor

PREDICT = """
import sys, pathlib
sys.modules["tensorflow"] = None  # nothing may need it
from concurrent.futures import ThreadPoolExecutor
import numpy as np
from unetseg.model.file import load_model
from unetseg.prediction.predictor import Predictor
model, images, out = sys.argv[1:]
predictor = Predictor(load_model(pathlib.Path(model)))
image = np.load(images)[0]
fitted, tiled = np.stack(list(predictor.fitted(np.load(images)))), predictor.image(np.tile(image, (3, 2, 1)))
with ThreadPoolExecutor(4) as threads:  # of the caller; they share the weights
    for again in threads.map(lambda _: predictor.image(np.tile(image, (3, 2, 1))), range(20)):
        np.testing.assert_array_equal(again, tiled)
np.savez(out, fitted=fitted, tiled=tiled)
"""


@pytest.mark.slow
def test_a_model_gives_the_same_probabilities_on_jax_without_tensorflow_in_any_thread(jax_python, tmp_path):
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    model, images = small_unet(16, depth=1), rng.integers(0, 255, (3, 16, 16, 3)).astype(np.uint8)
    model.set_weights([weight + rng.uniform(-0.1, 0.1, weight.shape) for weight in model.get_weights()])
    model.save(tmp_path / "unet.keras")
    np.save(tmp_path / "images.npy", images)
    arguments = [str(tmp_path / name) for name in ("unet.keras", "images.npy", "out.npz")]
    environment = os.environ | QUICK | {"KERAS_BACKEND": "jax", "PYTHONPATH": "src"}
    subprocess.run([jax_python, "-c", PREDICT, *arguments], env=environment, check=True)
    with np.load(tmp_path / "out.npz") as found:
        predictor = Predictor(model)
        np.testing.assert_allclose(found["fitted"], np.stack(list(predictor.fitted(images))), atol=1e-5)
        np.testing.assert_allclose(found["tiled"], predictor.image(np.tile(images[0], (3, 2, 1))), atol=1e-5)
        assert np.ptp(found["fitted"]) > 0.05
