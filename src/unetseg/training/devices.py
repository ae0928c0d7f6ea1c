"""Train on several devices: those of one machine, or of many processes that act as one."""

import contextlib
import os
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

from unetseg.errors import InputError, first_line
from unetseg.model import keras
from unetseg.training.workers import RANK, TASKS, whole_number

if keras.backend.backend() == "tensorflow":  # each is absent from the other's machines
    import tensorflow as tf
elif keras.backend.backend() == "jax":
    import jax

Item = TypeVar("Item")


class Share(NamedTuple):
    """The part of every batch that this process reads: the `rank`-th of `processes`; `devices` of them all share it."""

    rank: int = 0
    processes: int = 1
    devices: int = 1

    def of(self, items: Sequence[Item]) -> Sequence[Item]:
        """Take this process' part of a batch, whose length `processes` divides."""
        size = len(items) // self.processes
        return items[self.rank * size : (self.rank + 1) * size]


ALONE = Share()


@contextlib.contextmanager
def devices(distribute: str, batch_size: int) -> Iterator[Share]:
    """Build and train a model on the devices that `train.distribute` selects.

    Args:
        distribute: "none"; "mirrored", `tf.distribute.MirroredStrategy` over the GPUs of this machine; "data_parallel",
            `keras.distribution.DataParallel` over the devices of all processes, joined as
            `keras.distribution.initialize` finds them in the environment, Slurm's included.
        batch_size: images per step of all devices together.

    Raises:
        InputError: if the backend is another one, the devices cannot share a batch, or another process is lost.
    """
    if distribute == "none":
        yield ALONE
        return
    needed = {"mirrored": "tensorflow", "data_parallel": "jax"}[distribute]
    if (backend := keras.backend.backend()) != needed:
        raise InputError(f"train.distribute: {distribute} needs KERAS_BACKEND={needed}, but it is {backend}")
    if distribute == "mirrored":
        strategy = tf.distribute.MirroredStrategy()
        with strategy.scope():
            yield _checked(Share(devices=strategy.num_replicas_in_sync), batch_size)
        return
    if RANK in os.environ or whole_number(TASKS) > 1:
        keras.distribution.initialize()
    if jax.device_count() > 1:  # for a single one Keras would have the training step compiled three times
        keras.distribution.set_distribution(keras.distribution.DataParallel(auto_shard_dataset=False))
    share = Share(jax.process_index(), jax.process_count(), jax.device_count())
    try:
        yield _checked(share, batch_size)
    except jax.errors.JaxRuntimeError as error:
        if share.processes == 1:
            raise
        lost = "a process of this training was lost; run it again to resume"
        raise InputError(f"{lost}: {first_line(error)}") from error
    finally:
        keras.distribution.set_distribution(None)


def _checked(share: Share, batch_size: int) -> Share:
    if batch_size % share.devices:
        raise InputError(f"train.batch_size: {share.devices} devices cannot share {batch_size}; use a multiple")
    return share


class MirroredAdam(keras.optimizers.Adam):
    """Adam that clips the gradients of all replicas together; Keras' clips each replica's, which is another training.

    Pass `global_clipnorm` divided by the number of replicas: Keras adds up what each replica applies.
    """

    def apply(self, grads: Sequence[Any], trainable_variables: Sequence[Any] | None = None) -> None:
        """Apply the mean of the replicas' gradients."""
        mean = tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.MEAN, list(grads))
        super().apply(mean, trainable_variables)


def adam(rate: Any, clip_norm: float) -> keras.optimizers.Optimizer:
    """Make the optimizer for the devices in use; `clip_norm` is the largest global norm of the gradients, 0: off."""
    if (replicas := _replicas()) > 1:
        return MirroredAdam(rate, global_clipnorm=clip_norm / replicas or None)
    return keras.optimizers.Adam(rate, global_clipnorm=clip_norm or None)


def make_reproducible(seed: int, jit_compile: bool) -> None:
    """Seed all generators and enable deterministic operations in TensorFlow; those of XLA are deterministic anyway."""
    keras.utils.set_random_seed(seed)
    if keras.backend.backend() == "tensorflow" and not jit_compile:
        tf.config.experimental.enable_op_determinism()


def synchronise(model: keras.Model, *, on: bool) -> None:
    """Let batch normalisation average over all replicas, as over one large batch, or not; on JAX it always does."""
    for layer in model.get_layer("unet").layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.synchronized = on and _replicas() > 1


def _replicas() -> int:
    on_tensorflow = keras.backend.backend() == "tensorflow"
    return int(tf.distribute.get_strategy().num_replicas_in_sync) if on_tensorflow else 1
