"""A moving average of a model's weights: more stable than the weights, and better in validation."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from unetseg.model import keras

if keras.backend.backend() == "tensorflow":  # each is absent from the other's machines
    import tensorflow as tf
elif keras.backend.backend() == "jax":
    import jax


class Average(keras.callbacks.Callback):
    """Average all weights after each step; the averages are validated and saved, the weights are trained.

    The average's memory grows with the steps, momentum = min(momentum, (1 + steps) / (10 + steps)), as that of
    TensorFlow's ExponentialMovingAverage with `num_updates`: the first steps get little weight even in short trainings.
    The statistics of batch normalisation are averaged too, as they belong to the weights beside them. Keras' own
    `use_ema` with `SwapEMAWeights` does neither.
    """

    def __init__(self, model: keras.Model, momentum: float) -> None:
        """Set the model and the final momentum of the average."""
        super().__init__()
        self.momentum, self.weights = momentum, model.weights
        self.others = [keras.Variable(value, trainable=False) for value in model.get_weights()]
        self.in_model = False  # whether `others` are the trained weights, and the model has the averages
        self._blend = _compiled(self.others, self.weights)

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """Add the step to the average."""
        del batch, logs
        if keras.backend.backend() == "jax":
            self.model.jax_state_sync()  # during an epoch the weights are elsewhere
        steps = int(keras.ops.convert_to_numpy(self.model.optimizer.iterations))
        share = 1 - min(self.momentum, (1 + steps) / (10 + steps))
        self._blend(keras.ops.convert_to_tensor(share, "float32"))

    def on_test_begin(self, logs: dict[str, float] | None = None) -> None:
        """Put the averages into the model, until the next epoch begins."""
        del logs
        self._swap()

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Put the trained weights back into the model."""
        del epoch, logs
        if self.in_model:
            self._swap()

    def trained(self) -> list[np.ndarray]:
        """Return the trained weights, while the model has the averages."""
        return [keras.ops.convert_to_numpy(weight) for weight in self.others]

    def restore(self, trained: list[np.ndarray]) -> None:
        """Continue from these trained weights; the model has the averages."""
        for variable, value in zip(self.others, trained, strict=True):
            variable.assign(value)
        self.in_model = True

    def _swap(self) -> None:
        for weight, other in zip(self.weights, self.others, strict=True):
            kept, new = (np.array(keras.ops.convert_to_numpy(each)) for each in (weight, other))  # JAX reuses buffers
            weight.assign(new)
            other.assign(kept)
        self.in_model = not self.in_model


def _compiled(averages: Sequence[keras.Variable], weights: Sequence[keras.Variable]) -> Callable[[Any], None]:
    """Compile the function that moves the averages towards the weights; a hundred operations one by one are slow."""

    def blended(olds: Sequence[Any], news: Sequence[Any], share: Any) -> list[Any]:
        return [old + (new - old) * share for old, new in zip(olds, news, strict=True)]

    if keras.backend.backend() == "jax":
        blended = jax.jit(blended)

    def assign(share: Any) -> None:
        olds, news = ([keras.ops.convert_to_tensor(variable) for variable in each] for each in (averages, weights))
        for average, value in zip(averages, blended(olds, news, share), strict=True):
            average.assign(value)

    if keras.backend.backend() == "tensorflow":
        assign = tf.function(assign)
    return assign
