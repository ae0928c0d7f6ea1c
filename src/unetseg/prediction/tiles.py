"""The U-Net of a model for tiles of images of any size, normalised by the whole image."""

from collections.abc import Callable
from contextlib import nullcontext
from threading import Lock
from typing import Any

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

from unetseg.errors import ModelError
from unetseg.images.resampling import resized_rows
from unetseg.images.tiling import Grid, cut_rows, lay_grid
from unetseg.model import keras
from unetseg.model.assembly import take_apart
from unetseg.prediction.plan import Readable, in_memory
from unetseg.prediction.quality import expected_dice, overlap

if keras.backend.backend() == "tensorflow":
    import tensorflow as tf

# on JAX Keras takes a model's weights out for a pass, and another thread would find none
ONE_AT_A_TIME = Lock() if keras.backend.backend() == "jax" else nullcontext()
TILE = 1024  # pixels; in larger tiles fewer pixels are near the border, where context is missing
REACH = 12  # overlap of tiles, in steps of the coarsest level; the field of view is six steps to either side


class TiledModel:
    """The parts of a model, so that its U-Net takes tiles larger than the training images.

    Attributes:
        unet: normalised tiles of any size that its poolings divide to probabilities.
    """

    def __init__(self, model: keras.Model, tile: int, overlap: int | None) -> None:
        """Split a model into its parts.

        Args:
            model: as `unetseg.model.assembly.assemble` makes it.
            tile: height and width of the largest tile, in pixels; rounded down to what the model's poolings divide.
            overlap: least number of pixels that neighbouring tiles share; None: so many that no pixel is taken
                from where the tile's border shows, but half a tile at most.

        Raises:
            InputError: if the model is not made of the two parts "normalise" and "unet".
        """
        self._normalise, unet, self._small = take_apart(model)
        self._size = model.input_shape[1]
        every_layer = keras.Model(unet.inputs, [layer.output for layer in unet.layers])
        shapes = every_layer.compute_output_shape((None, *model.input_shape[1:]))
        self._multiple = self._size // min(shape[1] for shape in shapes)
        self._tile = max(1, tile // self._multiple) * self._multiple
        self._overlap = min(REACH * self._multiple, self._tile // 2) if overlap is None else overlap
        self.unet = keras.models.clone_model(unet, keras.Input((None, None, 3)), clone_function=lambda layer: layer)
        if keras.backend.backend() == "tensorflow":
            self.unet.predict_function = _traced_once(self.unet)

    def lay(self, height: int, width: int) -> Grid:
        """Place the tiles of an image."""
        tile, pixels = self._tile, self._tile**2
        return lay_grid(height, width, tile=tile, overlap=self._overlap, multiple=self._multiple, batch_pixels=pixels)

    def scaling(self, image: Readable) -> tuple[float, float]:
        """Find the factor and the offset by which the model normalises the values of an image.

        The statistics are those of the whole image; its polarity is decided by the model on a copy that fits it.
        """
        scale, offset = self._scaling(*_mean_and_deviation(image))
        small = resized_rows(image.rows, image.height, self._size, self._size)
        sign = self._polarity(small(0, self._size), self._small) if self._small else 1
        return sign * scale, sign * offset

    def _polarity(self, copy: UInt8[np.ndarray, "size size 3"], small: int) -> int:
        """Decide as the model's own layer "polarity" does, see `assemble`, by the network that predicts the tiles."""
        scale, offset = self._scaling(*_mean_and_deviation(in_memory(copy)))
        seen = copy * np.float32(scale) + np.float32(offset)
        factor = self._size // small
        seen = seen.reshape(small, factor, small, factor, 3).mean((1, 3))
        both = forward(self.unet, np.stack([seen, -seen]))
        bright, dark = (expected_dice(overlap(probability, 0.5)) for probability in both)
        return -1 if dark > bright else 1

    def _scaling(self, mean: float, deviation: float) -> tuple[float, float]:
        """Apply the model to an image of the same mean and deviation, so that the formula is in one place."""
        dark, bright = mean - max(deviation, 1e-3), mean + max(deviation, 1e-3)
        image = np.full((1, self._size, self._size, 3), dark, np.float32)
        image[:, ::2] = bright
        with ONE_AT_A_TIME:
            normalised = np.asarray(self._normalise.predict_on_batch(image), np.float64)  # compiled
        scale = (normalised[0, 0, 0, 0] - normalised[0, 1, 0, 0]) / (bright - dark)
        return float(scale), float(normalised[0, 1, 0, 0] - scale * dark)


def forward(
    model: keras.Model, batch: Float32[np.ndarray, "n height width 3"]
) -> Float32[np.ndarray, "n height width"]:
    """Predict a batch at once.

    Raises:
        ModelError: if the model predicts NaN.
    """
    with ONE_AT_A_TIME:
        probability = np.asarray(model.predict_on_batch(batch), np.float32)[..., 0]
    if np.isnan(probability).any():
        raise ModelError("the model predicts NaN: its training diverged; train it with a smaller learning rate")
    return probability


def _traced_once(network: keras.Model) -> Callable[..., Any]:
    """Compile a network for tiles of all shapes at once; by itself TensorFlow traces it for the first two, each 1 s."""
    tiles = tf.TensorSpec((None, None, None, 3), "float32")
    predict: Callable[..., Any] = tf.function(
        lambda batch: network(batch[0][0], training=False), input_signature=[[(tiles,)]], autograph=False
    )
    return predict


def _mean_and_deviation(image: Readable) -> tuple[float, float]:
    counts = np.zeros(256, np.int64)
    for strip in cut_rows(image.height, image.width):  # of so few pixels that single precision counts them exactly
        counts += cv2.calcHist([image.rows(*strip).reshape(-1)], [0], None, [256], [0, 256]).ravel().astype(np.int64)
    values = np.arange(256)
    mean = float(np.average(values, weights=counts))
    return mean, float(np.average((values - mean) ** 2, weights=counts)) ** 0.5
