"""Average several models into one."""

from collections.abc import Sequence

import numpy as np

from unetseg.errors import InputError
from unetseg.model import keras
from unetseg.model.assembly import assemble, take_apart


def join_models(models: Sequence[keras.Model], names: Sequence[object] = ()) -> keras.Model:
    """Build one model that predicts the mean probability of several, such as those of a cross-validation.

    Whether objects are brighter or darker than the background is decided by that mean, once for all of them.

    Args:
        models: as `unetseg.model.assembly.assemble` makes them, of one input size and one normalisation.
        names: what to call them in errors, such as their files; else by their numbers.

    Returns:
        A model that is used, saved and taken apart as each of them.

    Raises:
        InputError: if one of them is made otherwise, or if they normalise differently.
    """
    names = names or [f"model {number}" for number in range(1, len(models) + 1)]
    parts = [take_apart(model, str(name)) for name, model in zip(names, models, strict=True)]
    size, (normalise, _, small) = models[0].input_shape[1:], parts[0]
    trial = np.random.default_rng(0).uniform(0, 255, (2, *size)).astype(np.float32)
    for name, model, own in zip(names, models, parts, strict=True):
        if model.input_shape[1:] != size:
            sides = (f"{height} by {width} pixels" for height, width, _ in (model.input_shape[1:], size))
            raise InputError(f"{name} takes images of {f', {names[0]} of '.join(sides)}")
        if own.small != small or not np.array_equal(own.normalise(trial), normalise(trial)):
            raise InputError(f"{name} normalises its input differently from {names[0]}")
    inputs = keras.Input((None, None, 3), name="input")
    members = [_copy(each.network, inputs, number) for number, each in enumerate(parts)]
    outputs = [member.output for member in members]
    mean = keras.layers.Average(name="mean")(outputs) if len(outputs) > 1 else outputs[0]
    return assemble(normalise, keras.Model(inputs, mean, name="unet"), small)


def _copy(unet: keras.Model, inputs: keras.KerasTensor, number: int) -> keras.Model:
    """Copy a U-Net onto other inputs, with unique layer names."""

    def renamed(layer: keras.Layer) -> keras.Layer:
        return type(layer).from_config({**layer.get_config(), "name": f"{layer.name}_of_{number}"})

    copy = keras.models.clone_model(unet, inputs, clone_function=renamed)
    copy.set_weights(unet.get_weights())
    return copy
