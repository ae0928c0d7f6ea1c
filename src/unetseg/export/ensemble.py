"""Average several models into one."""

from collections.abc import Sequence

import numpy as np

from unetseg.errors import InputError
from unetseg.model import keras
from unetseg.model.assembly import assemble, take_apart


def join_models(models: Sequence[keras.Model]) -> keras.Model:
    """Build one model that predicts the mean probability of several, such as those of a cross-validation.

    Args:
        models: as `unetseg.model.assembly.assemble` makes them, of one input size and one normalisation.

    Returns:
        A model that is used, saved and taken apart as each of them.

    Raises:
        InputError: if one of them is made otherwise, or if they normalise differently.
    """
    parts = [take_apart(model, f"model {number}") for number, model in enumerate(models, 1)]
    size, (normalise, _, small) = models[0].input_shape[1:], parts[0]
    trial = np.random.default_rng(0).uniform(0, 255, (2, *size)).astype(np.float32)
    for number, model in enumerate(models, 1):
        if model.input_shape[1:] != size:
            raise InputError(f"model {number} takes images of {model.input_shape[1:]}, the first one of {size}")
        own = parts[number - 1]
        if own.small != small or not np.array_equal(own.normalise(trial), normalise(trial)):
            raise InputError(f"model {number} normalises its input differently from the first one")
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
