"""Compare TensorFlow and JAX, and one process with two: images per second and CPU ms per image.

    python benchmarks/backends.py [--batch 16] [--crop 256] [--images 480]
    KERAS_BACKEND=jax UNETSEG_WORKER=1 python benchmarks/backends.py --measure learn --batch 16

Predicts random images with the pretrained model, and trains a network of its shape on crops. One process and two are
measured on JAX with one core for each. Trainings give the median epoch of four but the first, which compiles. `learn`
is a training whose batches are made once, so that the network alone takes time. With `--measure` the two numbers are
seconds and CPU seconds per image.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
EPOCHS = 4


def predict(count: int) -> tuple[float, float]:
    """Predict so many images in this process; give seconds and CPU seconds per image."""
    from unetseg.model.file import load_model
    from unetseg.prediction.predictor import Predictor

    predictor = Predictor(load_model(ROOT / "pretrained" / "nuclei.keras"))
    images = np.random.default_rng(0).integers(0, 255, (count, predictor.size, predictor.size, 3)).astype(np.uint8)
    list(predictor.fitted(images[:8]))
    started, used = time.monotonic(), time.process_time()
    list(predictor.fitted(images))
    return (time.monotonic() - started) / count, (time.process_time() - used) / count


def train(distribute: str, count: int, batch: int, crop: int, *, made_once: bool = False) -> tuple[float, float]:
    """Train in this process, on batches of so many crops; give seconds and CPU seconds per image, medians of epochs."""
    import unetseg.training  # noqa: F401 - before Keras, whose convolutions it chooses
    from unetseg.model import keras
    from unetseg.params_file import load_params
    from unetseg.training.batches import Batch, PlainBatches, TrainingBatches
    from unetseg.training.devices import devices
    from unetseg.training.fit import train
    from unetseg.training.sources import WholeImages

    class MadeOnce(TrainingBatches):
        """Batches of which each is kept."""

        def __getitem__(self, number: int) -> Batch:
            if number not in made:
                made[number] = super().__getitem__(number)
            return made[number]

    made: dict[int, Batch] = {}
    params = load_params(ROOT / "params.yaml")
    changed = {"epochs": EPOCHS, "crop": crop, "crop_epochs": EPOCHS, "batch_size": batch}
    settings = params.train.model_copy(update=changed)
    rng = np.random.default_rng(0)
    images = rng.integers(0, 255, (count, 256, 256, 3)).astype(np.uint8)
    source, used = WholeImages(images, (images[..., 0] > 200).astype(np.uint8)), [0.0]
    note = keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: used.append(time.process_time()))
    with tempfile.TemporaryDirectory() as state, devices(distribute, settings.batch_size) as share:
        make = MadeOnce if made_once else TrainingBatches
        training = make(source, range(count), settings, params.augment, ["a"] * count, share)
        validation = PlainBatches(source, range(4), batch_size=4, share=share)
        arguments = {"size": 256, "model": params.model, "settings": settings, "state": Path(state)}
        _, history = train(training, validation, callbacks=[note], **arguments)
    if share.rank:
        sys.exit()
    seconds = statistics.median(row["seconds"] for row in history.epochs[1:])
    return seconds / count, statistics.median(np.diff(used)[1:]) / count


def measure(what: str, backend: str, given: list[str], workers: int = 0) -> None:
    """Measure in a new process and print."""
    environment = os.environ | {"KERAS_BACKEND": backend, "UNETSEG_WORKERS": str(workers or 1), "UNETSEG_WORKER": "1"}
    if workers:
        del environment["UNETSEG_WORKER"]  # which starts them
    command = [sys.executable, __file__, *given, "--measure", what]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    seconds, used = map(float, done.stdout.split()[-2:])
    name = f"{what}, {backend}" + f", {workers} processes of one core" * bool(workers)
    print(f"{name}: {1 / seconds:.1f} images/s, {1000 * used:.1f} CPU ms per image and process", flush=True)


def main() -> None:
    """Measure everything, or one thing in this process."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--measure", choices=["predict", "train", "learn", "data_parallel"], help="in this process")
    parser.add_argument("--batch", type=int, default=4, help="crops in a batch of training")
    parser.add_argument("--crop", type=int, default=128, help="height and width of these crops")
    parser.add_argument("--images", type=int, default=192, help="how many are predicted, and trained on in an epoch")
    options = parser.parse_args()
    sizes = options.images, options.batch, options.crop
    if options.measure == "predict":
        print(*predict(options.images))
    elif options.measure == "data_parallel":
        from unetseg.training.workers import RANK, is_worker, start_workers

        if is_worker():
            os.sched_setaffinity(0, {int(os.environ.get(RANK, "0"))})
            print(*train("data_parallel", *sizes))
        else:
            start_workers()
    elif options.measure:
        print(*train("none", *sizes, made_once=options.measure == "learn"))
    else:
        for what in ("predict", "train"):
            for backend in ("tensorflow", "jax"):
                measure(what, backend, sys.argv[1:])
        for workers in (1, 2):
            measure("data_parallel", "jax", sys.argv[1:], workers)


if __name__ == "__main__":
    main()
