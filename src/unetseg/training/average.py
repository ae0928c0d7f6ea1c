"""A moving average of a model's weights: more stable than the weights, and better in validation."""

import keras
import numpy as np
import tensorflow as tf


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
        self.others = [keras.Variable(weight, trainable=False) for weight in self.weights]
        self.in_model = False  # whether `others` are the trained weights, and the model has the averages
        self._blend = tf.function(self._take)  # one graph; a hundred operations one by one are slow

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """Add the step to the average."""
        del batch, logs
        steps = int(self.model.optimizer.iterations)
        share = 1 - min(self.momentum, (1 + steps) / (10 + steps))
        self._blend(tf.constant(share))

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

    def _take(self, share: tf.Tensor) -> None:
        for average, weight in zip(self.others, self.weights, strict=True):
            average.assign_add((weight - average) * share)

    def _swap(self) -> None:
        for weight, other in zip(self.weights, self.others, strict=True):
            kept = keras.ops.convert_to_numpy(weight)
            weight.assign(other)
            other.assign(kept)
        self.in_model = not self.in_model
