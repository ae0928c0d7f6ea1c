"""Train a model: build, compile, fit, and resume a killed training."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from unetseg.config import ModelSettings, TrainSettings
from unetseg.errors import InputError
from unetseg.model import keras
from unetseg.model.assembly import build_model, for_tiles
from unetseg.model.facts import read_facts
from unetseg.model.file import load_model
from unetseg.training import losses
from unetseg.training.average import Average
from unetseg.training.batches import PlainBatches, TrainingBatches
from unetseg.training.checkpoint import Checkpoint, History
from unetseg.training.devices import adam, make_reproducible, synchronise


def train(
    training: TrainingBatches,
    validation: PlainBatches,
    *,
    size: int,
    model: ModelSettings,
    settings: TrainSettings,
    state: Path,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> tuple[keras.Model, History]:
    """Train a new U-Net until the epochs are over or validation Dice no longer rises.

    A state is saved in the folder `state` after every epoch, before `callbacks` are called. Called again with the same
    arguments after an interruption, it resumes from there and ends with the same bits.

    Returns:
        The model with the weights of its best epoch, and the history.

    Raises:
        InputError: if the loss becomes NaN or infinite, if validation Dice stays 0 for `patience` epochs, or if
            `start_from` has a different shape.
    """
    make_reproducible(settings.seed, settings.jit_compile)
    unet = build_model(size, model)
    if settings.start_from:
        _take_weights(unet, Path(settings.start_from), model.model_dump())
    learner = for_tiles(unet, model.standardize)
    compile_unet(learner, settings, training.num_batches)
    average = Average(learner, settings.ema) if settings.ema else None
    synchronise(unet, on=True)
    first = training.share.rank == 0  # the process that writes and prints
    checkpoint = Checkpoint(training, average, settings.patience, state, write=first)
    done = checkpoint.restore(learner)
    for end in (min(settings.crop_epochs, settings.epochs), settings.epochs):  # first crops, then whole images
        if done < end and not checkpoint.out_of_patience():
            training.epoch = done
            training.begun = False  # Keras looks at up to two batches for their shapes before the first epoch begins
            if training.num_batches == 1:  # compiled anew for one size, it gives the same bits as in a resumed training
                training.begun, learner.train_function = True, None
            learner.fit(
                training,
                validation_data=validation,
                initial_epoch=done,
                epochs=end,
                callbacks=[*([average] if average else []), checkpoint, *callbacks],
                shuffle=False,
                verbose=(1 if sys.stdout.isatty() else 2) if first else 0,
            )
            done = len(checkpoint.history.epochs)
            if learner.stop_training:
                break
    synchronise(unet, on=False)  # one device needs none, and JAX refuses it
    unet.set_weights(checkpoint.history.best_weights)
    return unet, checkpoint.history


def compile_unet(unet: keras.Model, settings: TrainSettings, steps: int) -> None:
    """Compile the model with its loss, Adam with a learning rate schedule over all epochs, and the Dice metric."""
    rate: Any = settings.learning_rate
    total = settings.epochs * steps
    warmup = min(round(settings.warmup_epochs * steps), total - 1)
    if settings.schedule == "cosine" or warmup:  # a linear warm-up, then to zero over all epochs or as it is
        rate = keras.optimizers.schedules.CosineDecay(
            rate / warmup if warmup else rate,
            total - warmup,
            alpha=float(settings.schedule == "constant"),
            warmup_target=rate if warmup else None,
            warmup_steps=warmup,
        )
    metrics = [keras.metrics.MeanMetricWrapper(losses.dice, name="dice")]
    compiled = settings.jit_compile or keras.backend.backend() == "jax"  # which is hopelessly slow without
    loss, optimizer = getattr(losses, settings.loss), adam(rate, settings.clip_norm)
    unet.compile(optimizer, loss, weighted_metrics=metrics, jit_compile=compiled)


def _take_weights(unet: keras.Model, path: Path, wanted: Mapping[str, Any]) -> None:
    source = load_model(path)
    known = read_facts(path).get("trained_with", {}).get("model", {})
    differing = {name for name, value in wanted.items() if known.get(name, value) != value}
    told = [f"model.{name} is {known[name]} there and {wanted[name]} here" for name in sorted(differing)]
    rule = "; ".join(told) or "the section model asks for another one"
    if [weight.shape for weight in source.weights] != [weight.shape for weight in unet.weights]:
        raise InputError(f"train.start_from: the model {path} has a different shape: {rule}")
    if differing & {"activation", "standardize"}:
        raise InputError(f"train.start_from: the model {path} computes in another way: {rule}")
    unet.set_weights(source.get_weights())
