"""A model: a network, what turns pixel values into its input, and the choice between an image and its negative."""

import pkgutil
from typing import NamedTuple

from unetseg.config import ModelSettings
from unetseg.errors import ModelError
from unetseg.model import keras

layers, ops = keras.layers, keras.ops

LEAST = 0.004  # smallest divisor, as a share of the image; below half a step of an int8 export it would become 0
FLAT = 1.0  # smallest deviation that is scaled to one, in steps of 0…255; below it an image is noise


class Parts(NamedTuple):
    """What a model is made of; see `assemble`."""

    normalise: keras.Model
    network: keras.Model
    small: int | None


def build_model(size: int, settings: ModelSettings) -> keras.Model:
    """Build a model of the network that `settings` name, a module of this package, for images of one height and width.

    Returns:
        A model of float32 (B, size, size, 3), RGB in 0…255, to float32 (B, size, size, 1), made by `assemble`.

    Raises:
        ValueError: if the network cannot take images of this size.
    """
    network = pkgutil.resolve_name(f"unetseg.model.{settings.network}")
    if size % settings.divisor:
        raise ValueError(f"size {size} is not divisible by {settings.divisor}")
    normalise = _normalise(size, settings.standardize)
    return assemble(normalise, network.build(settings), size if settings.standardize else None)


def assemble(normalise: keras.Model, network: keras.Model, small: int | None) -> keras.Model:
    """Join the parts of a model, which it holds by name, so that large images can be predicted in tiles.

    With the layer "polarity" the model decides from its own predictions whether objects are brighter (1) or darker
    (-1) than the background: it predicts the image and its negative, and keeps the one whose expected Dice is higher.
    So the network always sees objects that are brighter. Deciding on a small copy is cheaper, but right only for a
    network that was trained on objects of that size too.

    Args:
        normalise: "normalise", raw values to zero mean and unit deviation, or to 0…1.
        network: "unet", whatever its architecture: network input of any size to probabilities.
        small: height and width of the copy, or those of the image; None: the model has no polarity, and takes images
            as they are.

    Returns:
        The model, of images of the size that `normalise` takes.
    """
    image = keras.Input(normalise.input_shape[1:], name="image")
    seen = normalise(image)
    if small is None:
        return keras.Model(image, network(seen), name="unetseg")
    factor = normalise.input_shape[1] // small
    copy = layers.AveragePooling2D(factor, name="small")(seen) if factor > 1 else seen
    bright, dark = network(copy), network(ops.negative(copy))
    polarity = ops.where(_expected_dice(dark) > _expected_dice(bright), -1.0, 1.0)
    polarity = layers.Identity(name="polarity")(polarity)
    if factor > 1:
        probability = network(layers.Multiply(name="bright_objects")([seen, polarity]))
    else:
        probability = ops.where(polarity > 0, bright, dark)
    return keras.Model(image, probability, name="unetseg")


def take_apart(model: keras.Model, name: str = "the model") -> Parts:
    """Return the parts that `assemble` joined.

    Raises:
        ModelError: if the model was made otherwise; it names the model.
    """
    found = {layer.name: layer for layer in model.layers}
    if not {"normalise", "unet"} <= found.keys():
        raise ModelError(f"{name} has no parts 'normalise' and 'unet': it cannot be taken apart")
    small = found["small"].output.shape[1] if "small" in found else model.input_shape[1]
    return Parts(found["normalise"], found["unet"], int(small) if "polarity" in found else None)


def _expected_dice(probability: keras.KerasTensor) -> keras.KerasTensor:
    """Compute 2Σp·m / (Σp + Σm) with m = p ≥ 0.5: the Dice of mask m if p is right; 0 without foreground."""
    mask = ops.cast(probability >= 0.5, "float32")
    total = _mean(probability) + _mean(mask)
    return 2.0 * _mean(probability * mask) / ops.maximum(total, LEAST)


def for_tiles(model: keras.Model, standardize: bool) -> keras.Model:
    """Return the network of `build_model` with the same weights, for tiles with statistics of the whole image.

    Returns:
        A model of "tile", float32 (B, height, width, 3), RGB in 0…255, and "statistics", float32 (B, 3), the whole
        image's mean, deviation and polarity (1: objects are brighter than the background; -1: darker), to
        probabilities; height and width may change from batch to batch.
    """
    tile = keras.Input((None, None, 3), name="tile")
    statistics = keras.Input((3,), name="statistics")
    mean, deviation, polarity = ops.split(ops.reshape(statistics, (-1, 3, 1, 1)), 3, axis=1)
    seen = polarity * _standardise(tile - mean, deviation) if standardize else ops.divide(tile, 255.0)
    network = take_apart(model).network
    return keras.Model({"tile": tile, "statistics": statistics}, network(seen), name="tiles")


def _normalise(size: int, standardize: bool) -> keras.Model:
    """Map raw values to network input, with Keras' own operations only, so that it loads without this package."""
    image = keras.Input((size, size, 3), name="raw")
    if not standardize:
        return keras.Model(image, ops.divide(image, 255.0), name="normalise")
    centred = image - _mean(image)
    deviation = ops.sqrt(_mean(ops.square(centred)))
    return keras.Model(image, _standardise(centred, deviation), name="normalise")


def _standardise(centred: keras.KerasTensor, deviation: keras.KerasTensor) -> keras.KerasTensor:
    """Scale to unit deviation."""
    return centred / ops.maximum(deviation, FLAT)


def _mean(values: keras.KerasTensor) -> keras.KerasTensor:
    """Average over an image, axis by axis: one long sum loses digits in runtimes that add naively."""
    for axis in (1, 2, 3):
        values = ops.mean(values, axis=axis, keepdims=True)
    return values
