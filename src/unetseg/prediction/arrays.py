"""Predict new images: arrays in; probability, mask and labels out."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import overload

import numpy as np
from jaxtyping import Bool, Float32, Int32, Shaped, UInt8

from unetseg.errors import InputError
from unetseg.images.intensity import to_rgb
from unetseg.images.rasters import check_alpha
from unetseg.model import keras
from unetseg.objects.strips import Number
from unetseg.prediction.predictor import Predictor
from unetseg.prediction.settings import Scale, Settings

Image = Shaped[np.ndarray, "..."]  # checked by hand: this is where users come in


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a model says of an image, at the image's own size.

    Attributes:
        probability: of foreground, 0 to 1.
        threshold: probability from which a pixel is foreground.
        number: what makes objects of the probability.
    """

    probability: Float32[np.ndarray, "height width"]
    threshold: float
    number: Number

    @cached_property
    def mask(self) -> Bool[np.ndarray, "height width"]:
        """Tell foreground from background."""
        return self.probability >= np.float32(self.threshold)

    @cached_property
    def labels(self) -> Int32[np.ndarray, "height width"]:
        """Number the objects from 1, touching ones apart; background is 0."""
        return self.number(self.probability)


@overload
def predict(
    images: Image,
    model: keras.Model,
    *,
    scale: Scale = ...,
    tta: bool = ...,
    threshold: float = ...,
    depth: float = ...,
    min_size: int = ...,
) -> Prediction: ...


@overload
def predict(
    images: Sequence[Image],
    model: keras.Model,
    *,
    scale: Scale = ...,
    tta: bool = ...,
    threshold: float = ...,
    depth: float = ...,
    min_size: int = ...,
) -> list[Prediction]: ...


def predict(
    images: Image | Sequence[Image],
    model: keras.Model,
    *,
    scale: Scale = "resize",
    tta: bool = False,
    threshold: float = 0.5,
    depth: float = 1.0,
    min_size: int = 8,
) -> Prediction | list[Prediction]:
    """Predict one image, or several at once.

    Args:
        images: (height, width) or (height, width, channels), grey or RGB, with or without alpha, of any size. 8 bit is
            taken as 0 to 255, any other type is scaled by the image's own range, as in training.
        model: from `unetseg.load_model`.
        scale: "resize" fits the image to the model's size, as the model was trained; "tiles" predicts at the image's
            own size, in tiles.
        tta: whether to average over the 8 flips and quarter turns: eight times slower, often a little better.
        threshold: probability from which a pixel is foreground.
        depth: how deep a waist parts two objects, in pixels of what the model sees; see `separated_objects`.
        min_size: smaller objects, in pixels of what the model sees, are left out of the labels.

    Raises:
        InputError: if an array is no image, or the model is none of this project's.

    Example:
        >>> from pathlib import Path
        >>> import numpy as np
        >>> from unetseg import load_model, predict
        >>> model = load_model(Path("pretrained/nuclei.keras"))
        >>> image = np.zeros((300, 400), np.uint16)
        >>> image[100:120, 50:80] = 1000
        >>> predicted = predict(image, model)
        >>> predicted.mask.shape, predicted.labels.dtype
        ((300, 400), dtype('int32'))
        >>> [each.probability.shape for each in predict([image, image[:200]], model)]
        [(300, 400), (200, 400)]
    """
    several = [images] if isinstance(images, np.ndarray) else images
    pictures = [_as_rgb(image) for image in several]
    predictor, settings = _predictor(model, scale, tta), Settings(scale, threshold, depth, min_size)
    predictions = [
        Prediction(each, threshold, settings.number(each.shape[0], each.shape[1], predictor.size))
        for each in predictor.images(pictures)
    ]
    return predictions[0] if isinstance(images, np.ndarray) else predictions


@lru_cache(maxsize=1)
def _predictor(model: keras.Model, scale: Scale, tta: bool) -> Predictor:
    """Keep the last one: taken apart for tiles, a model is compiled again."""
    return Predictor(model, scale, tta=tta)


def _as_rgb(image: Image) -> UInt8[np.ndarray, "height width 3"]:
    pixels = np.atleast_3d(np.asarray(image))
    if (
        np.ndim(image) not in (2, 3)
        or not 1 <= pixels.shape[2] <= 4
        or not pixels.size
        or pixels.dtype.kind not in "buif"
    ):
        rule = "an image is (height, width) or (height, width, channels), with 1 to 4 channels of numbers"
        raise InputError(f"an array of {pixels.dtype} and shape {np.shape(image)}: {rule}")
    try:
        if pixels.shape[2] in (2, 4):
            check_alpha(pixels[..., -1], pixels[0, 0, -1])
            pixels = pixels[..., :-1]
        return to_rgb(pixels)
    except InputError as error:
        raise InputError(f"an image {error}; pass one channel, or RGB") from error
