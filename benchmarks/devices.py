"""Show that trainings on several devices end as one device does: 2 and 4 processes, a killed one, mirrored CPUs.

    python benchmarks/devices.py

Prints the largest difference of losses, scores and weights. Needs jax. Each training compiles for half a minute.
"""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests")]

from unetseg.stage import one_line_errors  # noqa: E402 - found through the path above
from unetseg.workers import is_worker, start_workers  # noqa: E402 - found through the path above


def run_all(folder: Path) -> None:
    """Run every training in processes of its own, and compare."""
    run(folder / "one", "data_parallel", 1)
    run(folder / "killed", "data_parallel", 2, die=1)
    run(folder / "killed", "data_parallel", 2)  # resumes
    run(folder / "four", "data_parallel", 4)
    run(folder / "cpu", "none", 1)
    run(folder / "mirrored", "mirrored", 1)
    for name, other in (("killed", "one"), ("four", "one"), ("mirrored", "cpu")):
        with np.load(folder / name / "result.npz") as found, np.load(folder / other / "result.npz") as expected:
            losses = np.abs(found["losses"] - expected["losses"]).max()
            weights = max(np.abs(found[key] - expected[key]).max() for key in found.files if "weights" in key)
            print(f"{name}, {found['devices']} devices: losses and scores {losses:.1e}, weights {weights:.1e}")


def run(folder: Path, distribute: str, workers: int, die: int = -1) -> None:
    """Train in new processes; with `die` the last of them is killed when that epoch begins."""
    folder.mkdir(exist_ok=True)
    environment = os.environ | {"UNETSEG_WORKERS": str(workers)}
    command = [sys.executable, __file__, distribute, str(folder), str(die)]
    subprocess.run(command, env=environment, check=die < 0)


def main() -> None:
    """Run all, or one training: DISTRIBUTE FOLDER DIE."""
    if not sys.argv[1:]:
        with tempfile.TemporaryDirectory() as folder:
            return run_all(Path(folder))
    distribute, folder, die = sys.argv[1:]
    if distribute == "data_parallel":
        if not is_worker():
            return start_workers()
        sys.modules["tensorflow"] = None  # type: ignore[assignment] # nothing needs it, and Keras would import it
    if distribute == "mirrored":
        import tensorflow as tf

        (cpu,) = tf.config.list_physical_devices("CPU")
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
        make = tf.distribute.MirroredStrategy
        tf.distribute.MirroredStrategy = lambda: make(["CPU:0", "CPU:1"])  # without GPUs it takes one CPU
    return train_tiny(distribute, Path(folder), int(die))


def train_tiny(distribute: str, folder: Path, die: int) -> None:
    """Train two epochs; the first process writes the result."""
    import keras
    from values import model_settings, no_augmentation, train_settings

    from unetseg.training.batches import PlainBatches, TrainingBatches
    from unetseg.training.devices import devices
    from unetseg.training.fit import train
    from unetseg.training.sources import WholeImages

    rng = np.random.default_rng(0)
    masks = (rng.random((15, 32, 32)) < 0.4).astype(np.uint8)
    source = WholeImages((masks[..., None] * 150 + rng.integers(0, 90, (15, 32, 32, 3))).astype(np.uint8), masks)
    settings = train_settings(crop_epochs=0, batch_size=4, epochs=2, ema=0.5, clip_norm=0.1)
    with devices(distribute, settings.batch_size) as share:

        def on_epoch_begin(epoch: int, _logs: object = None) -> None:
            if epoch == die and share.rank == share.processes - 1:
                os.kill(os.getpid(), signal.SIGKILL)

        unet, past = train(
            TrainingBatches(source, range(10), settings, no_augmentation(flip=True), ["a"] * 10, share),
            PlainBatches(source, range(10, 15), batch_size=4, share=share),  # the last batch is not full
            size=32,
            model=model_settings(depth=1),
            settings=settings,
            state=folder / "state",
            callbacks=[keras.callbacks.LambdaCallback(on_epoch_begin=on_epoch_begin)],
        )
    if share.rank == 0:
        losses = [[row[name] for name in ("loss", "dice", "val_loss", "val_dice")] for row in past.history]
        weights = {f"weights {place}": weight for place, weight in enumerate(unet.get_weights())}
        np.savez(folder / "result.npz", losses=losses, devices=share.devices, **weights)


if __name__ == "__main__":
    with one_line_errors():
        main()
