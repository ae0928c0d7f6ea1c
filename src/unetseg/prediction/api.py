"""The Python API: predict arrays; get probability, mask and labels."""

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, TypedDict, Unpack, overload
from weakref import WeakKeyDictionary

import numpy as np
import PIL.Image
from jaxtyping import Bool, Float32, Int32, Shaped, UInt8

from unetseg.errors import InputError
from unetseg.images.intensity import to_rgb
from unetseg.images.rasters import check_alpha
from unetseg.images.stacks import Channel
from unetseg.model import file, keras
from unetseg.model.facts import read_facts
from unetseg.objects.strips import Number
from unetseg.parallel import refuse_fork
from unetseg.prediction.plan import in_memory
from unetseg.prediction.predictor import Predictor
from unetseg.prediction.quality import Estimate, stability, steadiness
from unetseg.prediction.settings import DEFAULTS, FROM_MODEL, Scale, Tuning, find_tuning, seen_by
from unetseg.prediction.zoom import Zooming, predict_zoomed

MANY = 16  # a last axis of so many values or more is taken for a side of an image in a stack
RULE = "an image is an array (height, width) or (height, width, channels) of numbers, grey, RGB or RGBA"
PILLOW = {"1", "L", "I", "I;16", "F", "RGB", "RGBA"}  # modes whose arrays hold what is seen
Image = Shaped[np.ndarray, "..."]  # checked in `predict`, with errors for users


_KNOWN: WeakKeyDictionary[keras.Model, tuple[Tuning, Channel]] = WeakKeyDictionary()  # a Keras model cannot hold it


def load_model(path: Path | str) -> keras.Model:
    """Load a model in safe mode, also from strangers, with the values that `evaluate` chose, if they are beside it.

    A warning tells that values which `evaluate` chose are missing or of another model, and what `predict` cannot see:
    that the model was trained on projections of z-stacks.

    Args:
        path: a `.keras` file; see `unetseg.prediction.settings.find_tuning` for the file of values.

    Raises:
        InputError: if the file is no model, runs code, reads other files or does not fit this version of Keras, or if
            the values are malformed.
        OSError: if the folder for temporary files, where Keras unpacks it, is full.
    """
    path = Path(path)
    model = file.load_model(path)
    facts = read_facts(path)
    channel, project = seen_by(facts)
    tuning, source = find_tuning(path, facts)
    _KNOWN[model] = tuning, channel
    if source not in (FROM_MODEL, DEFAULTS) and not Path(source).is_file():
        warnings.warn(f"{path}: its threshold, zoom and more are from {source}", stacklevel=2)
    if project != "none":
        rule = f"pass such, as read_image(PATH, project={project!r}) gives them"
        warnings.warn(f"{path}: was trained on projections of z-stacks; {rule}", stacklevel=2)
    return model


@dataclass(frozen=True, eq=False)
class Prediction:
    """The prediction for an image, at the image's own size.

    Attributes:
        probability: of foreground, 0 to 1.
        threshold: probability from which a pixel is foreground.
        number: numbers the objects of the probability.
        zoom: enlargement at which the model saw the image.
        estimate: calibration of the estimated Dice.
    """

    probability: Float32[np.ndarray, "height width"]
    threshold: float
    number: Number
    zoom: float
    estimate: Estimate

    @cached_property
    def mask(self) -> Bool[np.ndarray, "height width"]:
        """The foreground: True where the probability reaches the threshold."""
        return self.probability >= np.float32(self.threshold)

    @cached_property
    def estimated_dice(self) -> float:
        """The estimated Dice of the mask, from the prediction alone; calibrated if the model was evaluated."""
        return self.estimate.dice_of(stability(steadiness(self.probability, self.threshold)))

    @cached_property
    def labels(self) -> Int32[np.ndarray, "height width"]:
        """The objects, numbered from 1, touching ones separated; background is 0."""
        return self.number(self.probability)


class Options(TypedDict, total=False):
    """The keyword arguments of `predict`."""

    scale: Scale
    zoom: float | None
    pixel_size: float | None
    tta: bool | None
    threshold: float | None
    depth: float | None
    min_size: int | None


@overload
def predict(images: Image, model: keras.Model, **options: Unpack[Options]) -> Prediction: ...


@overload
def predict(images: Sequence[Image], model: keras.Model, **options: Unpack[Options]) -> list[Prediction]: ...


def predict(
    images: Any,
    model: Any,
    *,
    scale: Scale = "auto",
    zoom: Any = None,
    pixel_size: Any = None,
    tta: bool | None = None,
    threshold: float | None = None,
    depth: float | None = None,
    min_size: int | None = None,
) -> Prediction | list[Prediction]:
    """Predict one image, or several at once.

    Args:
        images: (height, width) or (height, width, channels), grey, RGB or RGBA with the same alpha everywhere, of any
            size, of NumPy or whatever turns into such an array; several in a list. 8 bit is taken as 0 to 255, any
            other type is scaled by the image's own percentiles, as in training. For a model that was trained on one
            channel (`data.channel`) it is that channel alone, such as `read_image` gives with `channel`.
        model: from `unetseg.load_model`; the last four arguments default to what `evaluate` chose for it, as the
            file of values beside it says, else to False, 0.5, 1 and 8. A copy of a model has lost these values, which
            is a warning: load it in each process.
        scale: "resize" fits the image to the model's size; "tiles" predicts it at its own size, in tiles; "auto" does
            as in training where the image is of a size that the model was trained on, and else finds the zoom.
        zoom: factor by which the image is enlarged for the model, in tiles; None: as `scale` says.
        pixel_size: of the images in µm, of a model that knows that of its own; decides the zoom, so `scale` is "auto".
        tta: whether to average over the 8 flips and quarter turns: eight times slower, often a little better.
        threshold: probability from which a pixel is foreground.
        depth: minimum depth of the neck at which touching objects are split, in pixels that the model sees;
            see `separated_objects`.
        min_size: smaller objects, in pixels of what the model sees, are left out of the labels.

    Raises:
        InputError: if an array is no image, or has more than the channel that the model was trained on; if the model is
            none of this project's, a value is not possible, or `scale`, `zoom` and `pixel_size` exclude each other.

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
    one = _is_array(images)
    if isinstance(images, str | bytes) or not (one or isinstance(images, Iterable)):
        raise InputError(f"{images!r:.80} is no image: {RULE}; unetseg.images.opening.read_image reads a file")
    refuse_fork()
    if not isinstance(model, keras.Model):
        raise InputError(f"{model!r:.80} is no model: pass what unetseg.load_model gives")
    if model not in _KNOWN:
        told = "a model that is not from unetseg.load_model, or a copy: its own threshold, zoom and more are unknown"
        warnings.warn(f"{told}, and defaults are taken", stacklevel=2)
    known, channel = _KNOWN.setdefault(model, (Tuning(), "all"))
    pictures = [in_memory(_as_rgb(image, channel)) for image in ([images] if one else images)]
    tuned = known.changed(tta=tta, threshold=threshold, depth=depth, min_size=min_size)
    settings = tuned.settings(scale=scale, zoom=zoom, pixel_size=pixel_size)
    predictor, zooming = _predictor(model, settings.tta), Zooming(settings, tuned)
    predictions = [
        Prediction(probability, settings.threshold, settings.number(seen_at), seen_at, tuned.estimate)
        for seen_at, probability in predict_zoomed(predictor, zooming, pictures)
    ]
    return predictions[0] if one else predictions


def _is_array(image: Any) -> bool:
    return any(hasattr(image, name) for name in ("__array__", "__array_interface__"))


@lru_cache(maxsize=1)
def _predictor(model: keras.Model, tta: bool) -> Predictor:
    """Cache the last one, because a model for tiles is compiled again."""
    return Predictor(model, tta=tta)


def _as_rgb(image: Any, channel: Channel) -> UInt8[np.ndarray, "height width 3"]:
    if isinstance(image, np.ma.MaskedArray):
        raise InputError("a masked array: the model sees all pixels; pass image.filled(VALUE)")
    if isinstance(image, PIL.Image.Image) and image.mode not in PILLOW:
        raise InputError(f"a picture of Pillow in mode {image.mode}: pass image.convert('RGB')")
    if not _is_array(image):
        raise InputError(f"{image!r:.80} is no image: {RULE}; pass several as a list of arrays")
    pixels = np.atleast_3d(np.asarray(image))
    if (
        np.ndim(image) not in (2, 3)
        or pixels.shape[2] not in (1, 3, 4)
        or not pixels.size
        or pixels.dtype.kind not in "buif"
    ):
        raise InputError(
            f"an array of {pixels.dtype} and shape {np.shape(image)}: {RULE}{_advice(np.shape(image), channel)}"
        )
    try:
        if pixels.shape[2] == 4:
            check_alpha(pixels[..., -1], pixels[0, 0, -1])
            pixels = pixels[..., :-1]
        alike = np.array_equal(pixels, pixels[..., :1].repeat(pixels.shape[2], 2), equal_nan=pixels.dtype.kind == "f")
        if channel != "all" and not alike:
            rule = f"the model was trained on channel {channel!r}; pass that alone"
            given = f"as read_image(PATH, channel={channel!r}) gives it"
            raise InputError(f"has {pixels.shape[2]} channels, and {rule}, {given}")
        return to_rgb(pixels)
    except InputError as error:
        raise InputError(f"an image {error}") from error


def _advice(shape: tuple[int, ...], channel: Channel) -> str:
    """Say what to do with an array whose shape is that of no image."""
    if len(shape) == 3 and shape[2] <= min(shape) and shape[2] < MANY:
        return "; pass one channel: image[..., 0]" if channel == "all" else f"; pass channel {channel!r} alone"
    if len(shape) not in (3, 4):
        return ""
    channels_first = "; if it is one, move its channels last: np.moveaxis(image, 0, -1)"
    return "; pass several images as a list: list(images)" + channels_first * (
        len(shape) == 3 and shape[0] in (1, 3, 4)
    )
