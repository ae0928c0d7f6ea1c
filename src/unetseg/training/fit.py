"""Train: build, compile, fit, and go on where a killed training stopped."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from unetseg.errors import InputError
from unetseg.model.file import load_model
from unetseg.model.unet import build_unet, for_tiles
from unetseg.training.average import Average
from unetseg.training.batches import PlainBatches, TrainingBatches
from unetseg.training.keeper import Keeper, Past
from unetseg.training.losses import LOSSES, dice


def train(
    training: TrainingBatches,
    validation: PlainBatches,
    *,
    model: Mapping[str, Any],
    epochs: int,
    patience: int,
    seed: int,
    start_from: str,
    state: Path,
    jit_compile: bool,
    ema: float,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    **compilation: Any,
) -> tuple[keras.Model, Past]:
    """Train a new U-Net until the epochs are over or validation Dice no longer rises.

    A state is saved after every epoch. Called again with the same arguments after an interruption, it goes on from
    there and ends with the same bits.

    Args:
        training: what to learn from.
        validation: what chooses the epoch.
        model: the arguments of `build_unet`.
        epochs: at most so many.
        patience: stop after so many epochs without a better validation Dice.
        seed: of the start weights.
        start_from: a `.keras` file whose weights to start from; empty: none.
        state: folder of the saved states.
        jit_compile: compile with XLA.
        ema: momentum of the moving average of the weights that is validated and given; 0: none.
        callbacks: called at the end of an epoch after its state is saved.
        **compilation: the other arguments of `compile_unet`.

    Returns:
        The model with the weights of its best epoch, and the history.

    Raises:
        InputError: if the loss is no number any more, if validation Dice never leaves 0 within `patience` epochs, or if
            `start_from` is a model of another shape.
    """
    _make_reproducible(seed, jit_compile)
    unet = build_unet(**model)
    if start_from:
        _take_weights(unet, Path(start_from))
    learner = for_tiles(unet, model["standardize"])
    compile_unet(learner, steps=training.num_batches, epochs=epochs, jit_compile=jit_compile, **compilation)
    average = Average(learner, ema) if ema else None
    keeper = Keeper(training, average, patience, state)
    done = keeper.restore(learner)
    for end in (min(training.crop_epochs, epochs), epochs):  # the batches of one `fit` have one size
        if done < end and not keeper.out_of_patience():
            training.epoch = done  # Keras looks at batches for their shape before the first epoch begins
            learner.make_train_function(force=True)  # the bits are then those of a training that begins here
            learner.fit(
                training,
                validation_data=validation,
                initial_epoch=done,
                epochs=end,
                callbacks=[*([average] if average else []), keeper, *callbacks],
                shuffle=False,
                verbose=1 if sys.stdout.isatty() else 2,
            )
            done = len(keeper.past.history)
            if learner.stop_training:
                break
    unet.set_weights(keeper.past.best_weights)
    return unet, keeper.past


def compile_unet(
    unet: keras.Model,
    *,
    loss: str,
    learning_rate: float,
    schedule: str,
    warmup_epochs: float,
    epochs: int,
    steps: int,
    clip_norm: float,
    jit_compile: bool,
) -> None:
    """Give the model its loss, its optimiser (Adam) and the Dice coefficient as its metric.

    Args:
        unet: the model.
        loss: "bce" or "bce_dice".
        learning_rate: at its peak.
        schedule: "cosine" (to zero over all epochs, after a linear warm-up) or "constant".
        warmup_epochs: how long the warm-up takes.
        epochs: of the whole training.
        steps: batches an epoch.
        clip_norm: largest norm of all gradients together; 0: any.
        jit_compile: compile with XLA.
    """
    rate: Any = learning_rate
    if schedule == "cosine":
        warmup = min(round(warmup_epochs * steps), epochs * steps - 1)
        rate = keras.optimizers.schedules.CosineDecay(
            learning_rate / warmup if warmup else learning_rate,
            epochs * steps - warmup,
            warmup_target=learning_rate if warmup else None,
            warmup_steps=warmup,
        )
    optimizer = keras.optimizers.Adam(rate, global_clipnorm=clip_norm or None)
    metrics = [keras.metrics.MeanMetricWrapper(dice, name="dice")]
    unet.compile(optimizer, LOSSES[loss], metrics=metrics, jit_compile=jit_compile)


def _make_reproducible(seed: int, jit_compile: bool) -> None:
    """Seed every generator and ask TensorFlow for operations that give the same bits each time, as XLA's do anyway."""
    keras.utils.set_random_seed(seed)
    if not jit_compile:
        tf.config.experimental.enable_op_determinism()


def _take_weights(unet: keras.Model, path: Path) -> None:
    source = load_model(path)
    if [weight.shape for weight in source.weights] != [weight.shape for weight in unet.weights]:
        raise InputError(f"train.start_from: the model {path} has another shape than image.size and model ask for")
    unet.set_weights(source.get_weights())
