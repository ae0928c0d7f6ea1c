"""Train a tiny network: `train_on_devices.py DISTRIBUTE FOLDER EPOCHS [DIE]`; the first process writes the result.

With DIE the last process is killed when that epoch begins.
"""

import os
import signal
import sys
from pathlib import Path

import numpy as np

from unetseg.stage import one_line_errors
from unetseg.workers import is_worker, start_workers


def main():
    distribute, folder, epochs, *die = sys.argv[1:]
    if distribute == "data_parallel":
        if not is_worker():
            start_workers()
            return
        sys.modules["tensorflow"] = None  # nothing needs it, and Keras would import it for its seed
    if distribute == "mirrored":
        import tensorflow as tf

        (cpu,) = tf.config.list_physical_devices("CPU")
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
        make = tf.distribute.MirroredStrategy
        tf.distribute.MirroredStrategy = lambda: make(["CPU:0", "CPU:1"])  # without GPUs it takes one CPU
    import keras
    from values import model_settings, no_augmentation, train_settings

    from unetseg.training.batches import PlainBatches, TrainingBatches
    from unetseg.training.devices import devices
    from unetseg.training.fit import train
    from unetseg.training.sources import WholeImages

    rng = np.random.default_rng(0)
    masks = (rng.random((15, 32, 32)) < 0.1).astype(np.uint8)
    source = WholeImages((masks[..., None] * 150 + rng.integers(0, 90, (15, 32, 32, 3))).astype(np.uint8), masks)
    settings = train_settings(crop_epochs=0, batch_size=4, epochs=int(epochs), ema=0.5, clip_norm=0.1)
    strength = no_augmentation(flip=True)
    with devices(distribute, 4) as share:

        def on_epoch_begin(epoch, _logs=None):
            if die and epoch == int(die[0]) and share.rank == share.processes - 1:
                os.kill(os.getpid(), signal.SIGKILL)

        unet, past = train(
            TrainingBatches(source, range(10), settings, strength, ["a"] * 10, share),
            PlainBatches(source, range(10, 15), batch_size=4, share=share),
            size=32,
            model=model_settings(base_filters=2, max_filters=4, depth=1, stem_stride=1),
            settings=settings,
            state=Path(folder) / "state",
            callbacks=[keras.callbacks.LambdaCallback(on_epoch_begin=on_epoch_begin)],
        )
    if share.rank == 0:
        losses = [[row[name] for name in ("loss", "dice", "val_loss", "val_dice")] for row in past.history]
        weights = {f"w{place:03d}": weight for place, weight in enumerate(unet.get_weights())}
        np.savez(Path(folder) / "result.npz", losses=losses, devices=share.devices, **weights)
        unet.save(Path(folder) / "unet.keras")


if __name__ == "__main__":
    with one_line_errors():
        main()
