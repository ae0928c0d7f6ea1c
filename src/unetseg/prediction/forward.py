"""Ask a model for probabilities."""

import numpy as np
from jaxtyping import Float32

from unetseg.errors import InputError
from unetseg.model import keras


def forward(
    model: keras.Model, batch: Float32[np.ndarray, "n height width 3"]
) -> Float32[np.ndarray, "n height width"]:
    """Predict a batch at once.

    Raises:
        InputError: if the model predicts NaN.
    """
    probability = np.asarray(model.predict_on_batch(batch), np.float32)[..., 0]
    if np.isnan(probability).any():
        raise InputError("the model predicts NaN: its training diverged; train it with a smaller learning rate")
    return probability
