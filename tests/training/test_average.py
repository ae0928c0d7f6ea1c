import numpy as np
import pytest

from unetseg.model import keras
from unetseg.training.average import Average

SHAPE = (2,)


@pytest.fixture
def model():
    """One dense layer behind a batch normalisation."""
    model = keras.Sequential([keras.Input(SHAPE), keras.layers.BatchNormalization(momentum=0.5), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.1), "mse", run_eagerly=True)
    return model


def data(rows=12):
    rng = np.random.default_rng(0)
    return rng.normal(3, 1, (rows, *SHAPE)).astype(np.float32), rng.normal(0, 1, (rows, 1)).astype(np.float32)


class Record(keras.callbacks.LambdaCallback):
    """Note the weights after every step, and at the beginning and end of epochs."""

    def __init__(self):
        self.steps, self.begun, self.ended = [], [], []
        super().__init__(
            on_epoch_begin=lambda *_, **__: self.begun.append(self.model.get_weights()),
            on_train_batch_end=lambda *_, **__: self.steps.append(self.model.get_weights()),
            on_epoch_end=lambda *_, **__: self.ended.append(self.model.get_weights()),
        )


def fit(model, momentum, epochs=2):
    start, record, average = model.get_weights(), Record(), Average(model, momentum)
    inputs, truth = data()
    model.fit(
        inputs, truth, batch_size=4, epochs=epochs, validation_data=data(4), callbacks=[average, record], verbose=0
    )
    return start, record, average


@pytest.mark.slow
@pytest.mark.parametrize("momentum", [0.3, 0.9])
def test_the_model_has_the_averages_of_all_weights_at_the_end_of_an_epoch(model, momentum):
    expected, record, _ = fit(model, momentum)
    for number, weights in enumerate(record.steps, 1):
        now = min(momentum, (1 + number) / (10 + number))
        expected = [now * old + (1 - now) * new for old, new in zip(expected, weights, strict=True)]
    for ours, theirs in zip(record.ended[-1], expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)
    assert len(expected) == 6  # the statistics of the normalisation among them


def test_an_epoch_goes_on_from_the_trained_weights_not_from_the_averages(model):
    _, record, average = fit(model, 0.9)
    for ours, theirs in zip(record.begun[1], record.steps[2], strict=True):
        np.testing.assert_array_equal(ours, theirs)
    for ours, theirs in zip(average.trained(), record.steps[-1], strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert any((ours != theirs).any() for ours, theirs in zip(record.ended[0], record.steps[2], strict=True))
