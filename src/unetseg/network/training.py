"""Train: build, compile, fit, and go on where a killed training stopped."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from unetseg.errors import InputError
from unetseg.network.augment import Augmentation
from unetseg.network.batches import PlainBatches, TrainingBatches
from unetseg.network.keeper import Keeper, Past
from unetseg.network.losses import LOSSES, dice
from unetseg.network.model import build_unet, for_tiles
from unetseg.network.modelfile import load_model
from unetseg.network.tile_batches import PlainTiles, TrainingTiles
from unetseg.splitting.subsets import subset_rows


def open_batches(
    arrays: Path, split: Path, strength: Mapping[str, Any], *, batch_size: int, seed: int, balance: float, border: float
) -> tuple[TrainingBatches, PlainBatches]:
    """Open the arrays and give the batches to train on and those to validate with.

    Args:
        arrays: the folder of images.npy, masks.npy and samples.csv, with `border` labels.npy too.
        split: the table of id and subset.
        strength: the fields of `Augmentation`.
        batch_size: images a batch.
        seed: of order and augmentation.
        balance: see `TrainingBatches`.
        border: see `TrainingBatches`.

    Raises:
        InputError: if the training subset is smaller than a batch.
    """
    images, masks = (np.load(arrays / f"{name}.npy", mmap_mode="r") for name in ("images", "masks"))
    truth = np.load(arrays / "labels.npy", mmap_mode="r") if border else masks
    training, validation = (subset_rows(arrays / "samples.csv", split, name) for name in ("train", "validation"))
    if len(training) < batch_size:
        raise InputError(f"train.batch_size: {batch_size} is more than the {len(training)} training images")
    batches = TrainingBatches(
        images,
        truth,
        [int(row["index"]) for row in training],
        batch_size=batch_size,
        seed=seed,
        strength=Augmentation(**strength),
        kinds=[row["modality"] for row in training],
        balance=balance,
        border=border,
    )
    return batches, PlainBatches(images, masks, [int(row["index"]) for row in validation], batch_size=batch_size)


def train(
    training: TrainingBatches | TrainingTiles,
    validation: PlainBatches | PlainTiles,
    *,
    model: Mapping[str, Any],
    epochs: int,
    patience: int,
    seed: int,
    start_from: str,
    state: Path,
    jit_compile: bool,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    **compilation: Any,
) -> tuple[keras.Model, Past]:
    """Train a new U-Net until the epochs are over or validation Dice no longer rises.

    A state is saved after every epoch. Called again with the same arguments after an interruption, it goes on from
    there and ends with the same bits.

    Args:
        training: what to learn from; the rest follows from whether these are tiles.
        validation: what chooses the epoch.
        model: the arguments of `build_unet`.
        epochs: at most so many.
        patience: stop after so many epochs without a better validation Dice.
        seed: of the start weights.
        start_from: a `.keras` file whose weights to start from; empty: none.
        state: folder of the saved states.
        jit_compile: compile with XLA.
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
    learner = for_tiles(unet, model["standardize"]) if isinstance(training, TrainingTiles) else unet
    compile_unet(learner, steps=training.num_batches, epochs=epochs, jit_compile=jit_compile, **compilation)
    keeper = Keeper(training, patience, state)
    average = keras.callbacks.SwapEMAWeights(swap_on_epoch=True) if learner.optimizer.use_ema else None
    done = keeper.restore(learner, average)
    if done < epochs and not keeper.out_of_patience():
        learner.fit(
            training,
            validation_data=validation,
            initial_epoch=done,
            epochs=epochs,
            callbacks=[*([average] if average else []), keeper, *callbacks],
            shuffle=False,
            verbose=1 if sys.stdout.isatty() else 2,
        )
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
    ema: float,
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
        ema: momentum of the moving average of the weights; 0: none.
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
    average = {"use_ema": True, "ema_momentum": ema} if ema else {}
    optimizer = keras.optimizers.Adam(rate, global_clipnorm=clip_norm or None, **average)
    metrics = [keras.metrics.MeanMetricWrapper(dice, name="dice")]
    unet.compile(optimizer, LOSSES[loss], metrics=metrics, jit_compile=jit_compile)


def _make_reproducible(seed: int, jit_compile: bool) -> None:
    """Seed every generator and ask TensorFlow for operations that give the same bits each time, as XLA's do anyway."""
    keras.utils.set_random_seed(seed)
    if keras.backend.backend() == "tensorflow" and not jit_compile:
        import tensorflow as tf  # noqa: PLC0415 - another backend has none

        tf.config.experimental.enable_op_determinism()


def _take_weights(unet: keras.Model, path: Path) -> None:
    source = load_model(path)
    if [weight.shape for weight in source.weights] != [weight.shape for weight in unet.weights]:
        raise InputError(f"train.start_from: the model {path} has another shape than image.size and model ask for")
    unet.set_weights(source.get_weights())
