"""Measure what saving the state of a training costs, against an epoch of the same training.

Trains some batches as params.yaml says, on the arrays of a finished run, and counts them up to an epoch; validation is
left out, which makes the share larger; of an epoch of crops it is larger by as much as that is shorter. A state holds
weights, averages, optimiser and best weights.

    python benchmarks/state.py --arrays data/arrays --split data/split.csv
"""

import argparse
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from unetseg.model.assembly import build_model, for_tiles
from unetseg.params_file import load_params
from unetseg.training.average import Average
from unetseg.training.batches import open_batches
from unetseg.training.checkpoint import Checkpoint
from unetseg.training.fit import compile_unet


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Give the seconds that work takes, by the clock and of the CPU."""
    clock, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - clock, time.process_time() - cpu


def main() -> None:
    """Train some batches, save some states, print both and the share."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--arrays", type=Path, required=True)
    parser.add_argument("--split", type=Path, required=True)
    parser.add_argument("--batches", type=int, default=20)
    parser.add_argument("--saves", type=int, default=15)
    options = parser.parse_args()
    params = load_params()
    training, _ = open_batches(
        options.arrays, options.split, mode="resize", settings=params.train, strength=params.augment
    )
    unet = for_tiles(build_model(params.image.size, params.model), params.model.standardize)
    compile_unet(unet, params.train, training.num_batches)
    unet.train_on_batch(*training[0])  # compiles
    batch = [timed(lambda number=number: unet.train_on_batch(*training[number])) for number in range(options.batches)]
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = Checkpoint(training, Average(unet, 0.9), params.train.patience, Path(folder))
        checkpoint.set_model(unet)
        checkpoint.history.best_weights = unet.get_weights()
        saves = []
        for epoch in range(options.saves):
            row = {"epoch": epoch + 1, "loss": 0.5, "dice": 0.5, "val_loss": 0.5, "val_dice": 0.5, "seconds": 60.0}
            checkpoint.history.epochs.append(row)
            saves.append(timed(checkpoint._save))
        size = max(file.stat().st_size for file in Path(folder).iterdir())
    print(f"a state of {size / 1e6:.1f} MB; an epoch of {training.num_batches} batches")
    for place, kind in enumerate(("clock", "CPU")):
        epoch_seconds = statistics.median(times[place] for times in batch) * training.num_batches
        saved = statistics.median(times[place] for times in saves)
        slowest = max(times[place] for times in saves)
        share = f"{saved / epoch_seconds:.2%} of an epoch of {epoch_seconds:.1f} s"
        print(f"seconds by the {kind}: {saved:.3f} a save (median of {len(saves)}, at most {slowest:.3f}), {share}")


if __name__ == "__main__":
    main()
