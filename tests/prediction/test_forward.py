import keras
import numpy as np
import pytest

from unetseg.errors import InputError
from unetseg.prediction.forward import forward


def model(factor):
    image = keras.Input((4, 4, 3))
    return keras.Model(image, image[..., :1] * factor)


def test_a_batch_comes_back_without_its_channel():
    batch = np.random.default_rng(0).random((2, 4, 4, 3), np.float32)
    assert np.allclose(forward(model(0.5), batch), batch[..., 0] / 2)


def test_a_model_that_predicts_nan_is_told_to_the_user():
    with pytest.raises(InputError, match="NaN"):
        forward(model(np.nan), np.ones((1, 4, 4, 3), np.float32))
