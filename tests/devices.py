"""Train a tiny model on several devices: `python devices.py DISTRIBUTE FOLDER DIE PYTHON`, see `start`."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests")]

from unetseg.stage import one_line_errors  # noqa: E402 - found through the path above
from unetseg.training.workers import is_worker, start_workers  # noqa: E402 - found through the path above

# compiling takes longer than training
QUICK = {
    "XLA_FLAGS": "--xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false "
    "--xla_cpu_parallel_codegen_split_count=1"
}
SETTINGS = {"batch_size": 4, "epochs": 2, "crop_epochs": 0, "ema": 0.5, "clip_norm": 0.1}


def start(
    folder: Path, distribute: str, own: Mapping[str, str], python: str, die: int = -1, before: Sequence[str] = ()
) -> "subprocess.Popen[str]":
    """Start a training in a new process; `own` are its variables, `python` runs it and its workers, after `before`.

    With `die` the last process is killed once so many epochs are over and the state after them is saved.
    """
    folder.mkdir(exist_ok=True)
    command = [*before, python, __file__, distribute, str(folder), str(die), python]
    return subprocess.Popen(
        command, env=os.environ | QUICK | own, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )


def difference(folder: Path, other: Path) -> float:
    """Give the largest difference of losses, scores and weights of two trainings."""
    with np.load(folder / "result.npz") as found, np.load(other / "result.npz") as expected:
        return max(float(np.abs(found[name] - expected[name]).max()) for name in expected.files)


def main(distribute: str, folder: str, die: str, python: str) -> None:
    """Run one training, or start its workers."""
    sys.executable = python
    if distribute == "data_parallel":
        if not is_worker():
            return start_workers()
        sys.modules["tensorflow"] = None  # type: ignore[assignment] # nothing needs it, and Keras would import it
        share_compiled(Path(folder).with_name("compiled"))
    elif distribute == "mirrored":
        import tensorflow as tf

        tf.config.run_functions_eagerly(False)  # which `warm.py` asks for
        (cpu,) = tf.config.list_physical_devices("CPU")
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
        make = tf.distribute.MirroredStrategy
        tf.distribute.MirroredStrategy = lambda: make(["CPU:0", "CPU:1"])  # without GPUs it takes one CPU
    return train_tiny(distribute, Path(folder), int(die))


def share_compiled(folder: Path) -> None:
    """Let all processes use what one has compiled, and log what is compiled."""
    import jax  # which a fork has imported already, so that the environment is not asked any more

    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    jax.config.update("jax_log_compiles", True)


def train_tiny(distribute: str, folder: Path, die: int) -> None:
    """Train two epochs; the first process writes the result."""
    from values import model_settings, no_augmentation, train_settings

    from unetseg.model import keras
    from unetseg.training.batches import PlainBatches, TrainingBatches
    from unetseg.training.devices import devices
    from unetseg.training.fit import train
    from unetseg.training.sources import WholeImages

    rng = np.random.default_rng(0)
    masks = (rng.random((15, 32, 32)) < 0.4).astype(np.uint8)
    source = WholeImages((masks[..., None] * 150 + rng.integers(0, 90, (15, 32, 32, 3))).astype(np.uint8), masks)
    settings = train_settings(**SETTINGS)
    with devices(distribute, settings.batch_size) as share:

        def on_epoch_begin(epoch: int, _logs: object = None) -> None:
            if epoch == die and share.rank == share.processes - 1:
                while not (folder / "state" / f"epoch-{epoch:06d}.npz").exists():  # the first process writes it
                    time.sleep(0.01)
                os.kill(os.getpid(), signal.SIGKILL)

        unet, history = train(
            TrainingBatches(source, range(10), settings, no_augmentation(flip=True), ["a"] * 10, share),
            PlainBatches(source, range(10, 15), batch_size=4, share=share),  # the last batch is not full
            size=32,
            model=model_settings(depth=1, max_filters=2),  # each shape of weights is compiled for itself
            settings=settings,
            state=folder / "state",
            callbacks=[keras.callbacks.LambdaCallback(on_epoch_begin=on_epoch_begin)],
        )
    if share.rank == 0:
        losses = [[row[name] for name in ("loss", "dice", "val_loss", "val_dice")] for row in history.epochs]
        weights = {f"weights {place}": weight for place, weight in enumerate(unet.get_weights())}
        np.savez(folder / "result.npz", losses=losses, **weights)


if __name__ == "__main__":
    with one_line_errors():
        main(*sys.argv[1:])
