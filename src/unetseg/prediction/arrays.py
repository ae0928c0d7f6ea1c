"""Predict new images: arrays in; probability, mask and labels out."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import islice
from typing import overload

import numpy as np
from jaxtyping import Bool, Float32, Int32, Shaped, UInt8

from unetseg.errors import InputError
from unetseg.images.pictures import to_rgb
from unetseg.images.resampling import fit, restore
from unetseg.model import keras
from unetseg.objects.strips import Number
from unetseg.prediction.forward import forward
from unetseg.prediction.native import NativeModel
from unetseg.prediction.settings import Scale, Settings

BATCH = 8

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
    threshold: float = ...,
    depth: float = ...,
    min_size: int = ...,
) -> list[Prediction]: ...


def predict(
    images: Image | Sequence[Image],
    model: keras.Model,
    *,
    scale: Scale = "resize",
    threshold: float = 0.5,
    depth: float = 1.0,
    min_size: int = 8,
) -> Prediction | list[Prediction]:
    """Predict one image, or several at once.

    Args:
        images: (height, width) or (height, width, channels), grey or RGB, with or without alpha, of any size. 8 bit is
            taken as 0 to 255, any other type is scaled by the image's own range, as in training.
        model: from `unetseg.load_model`.
        scale: "resize" fits the image to the model's size, as the model was trained; "native" predicts at the image's
            own size, in tiles.
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
    size = model_size(model)
    if scale == "native":
        native = _taken_apart(model)
        probabilities = [native.predict_array(picture) for picture in pictures]
    else:
        fitted = predict_fitted(model, (fit(picture, size) for picture in pictures))
        probabilities = [restore(seen, *picture.shape[:2]) for seen, picture in zip(fitted, pictures, strict=True)]
    settings = Settings(scale, threshold, depth, min_size)
    predictions = [
        Prediction(each, threshold, settings.number(each.shape[0], each.shape[1], size)) for each in probabilities
    ]
    return predictions[0] if isinstance(images, np.ndarray) else predictions


def predict_fitted(
    model: keras.Model, images: Iterable[UInt8[np.ndarray, "size size 3"]], batch_size: int = BATCH
) -> Iterator[Float32[np.ndarray, "size size"]]:
    """Predict images of the model's size, always in batches of one shape, so that the model is compiled once.

    Raises:
        InputError: if the model predicts NaN.
    """
    pending = iter(images)
    batch = np.zeros((batch_size, *model.input_shape[1:]), np.float32)
    while taken := list(islice(pending, batch_size)):
        batch[: len(taken)] = taken
        yield from forward(model, batch)[: len(taken)]


def model_size(model: keras.Model) -> int:
    """Give the height and width of the images that a model takes.

    Raises:
        InputError: if it does not take RGB images of one size or does not give one probability a pixel.
    """
    _, height, width, channels = taken = model.input_shape
    if height != width or channels != 3 or model.output_shape[1:] != (height, width, 1):
        rule = "it must take (None, size, size, 3) and give (None, size, size, 1)"
        raise InputError(f"the model takes {taken} and gives {model.output_shape}; {rule}")
    return int(height)


@lru_cache(maxsize=1)
def _taken_apart(model: keras.Model) -> NativeModel:
    """Keep the last one: Keras compiles a new one again."""
    return NativeModel(model)


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
    if not np.isfinite(pixels).all():
        raise InputError("an image has values that are NaN or infinite")
    return to_rgb(pixels[..., :3] if pixels.shape[2] >= 3 else pixels[..., :1])
