"""Measure exported models: the Dice that fewer bits cost on real images, and the speed of each runtime.

    python benchmarks/export.py --model M.keras --split data/split.csv data/unzipped

Ranges for int8 are taken from validation images, Dice is that of test images at the model's size. Runtimes are tried in
turn, image by image, so that other work on the machine slows all of them alike; their CPU time is given, too.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from unetseg.dataset.samples import read_sample
from unetseg.errors import InputError
from unetseg.evaluation.scores import count, dice, stack
from unetseg.export.runtimes import EXPORTS, export_model
from unetseg.files import read_csv
from unetseg.images.resampling import fit
from unetseg.model.file import load_model

TRIED = (("onnx", "float32"), ("litert", "float32"), ("litert", "float16"), ("litert", "int8"))


def main() -> None:
    """Print a row of a table for Keras and for each export."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--split", type=Path, required=True, help="the table of id and subset")
    parser.add_argument("--most", type=int, default=1000, help="images of each subset")
    parser.add_argument("samples", type=Path)
    options = parser.parse_args()
    model = load_model(options.model)
    size = model.input_shape[1]
    examples, _ = read(options, "validation", size)
    images, masks = read(options, "test", size)
    with tempfile.TemporaryDirectory() as folder:
        runtimes = {"Keras float32": lambda batch: np.asarray(model.predict_on_batch(batch))}
        megabytes = {"Keras float32": options.model.stat().st_size / 1e6}
        for to, precision in TRIED:
            out = Path(folder, f"{to}-{precision}{EXPORTS[to].suffix}")
            try:
                export_model(model, out, to=to, precision=precision, images=examples, allow_loss=True)
            except InputError as error:
                print(error)
                continue
            name = f"{to} {precision}"
            runtimes[name], megabytes[name] = EXPORTS[to].runtime(out), out.stat().st_size / 1e6
        scored, clocked = measure(runtimes, images, masks)
    print("| runtime | MB | mean test Dice | images/s | CPU ms an image |\n| --- | --- | --- | --- | --- |")
    for name, (wall, cpu) in clocked.items():
        print(f"| {name} | {megabytes[name]:.1f} | {scored[name]:.4f} | {1 / wall:.1f} | {1e3 * cpu:.0f} |")
    print(
        f"{len(images)} images, {os.cpu_count()} cores; Keras' file holds 16 bits a weight where it is the pretrained"
    )


def read(options: argparse.Namespace, subset: str, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Read the images and masks of a subset at the model's size, as preprocess makes them."""
    names = [row["id"] for row in read_csv(options.split) if row["subset"] == subset][: options.most]
    samples = [read_sample(options.samples / name) for name in names]
    labels = [cv2.resize(each.labels, (size, size), interpolation=cv2.INTER_NEAREST_EXACT) for each in samples]
    return np.stack([fit(each.image, size) for each in samples]), np.stack(labels) > 0


def measure(
    runtimes: dict[str, Callable[[np.ndarray], np.ndarray]], images: np.ndarray, masks: np.ndarray
) -> tuple[dict[str, float], dict[str, tuple[float, float]]]:
    """Give the mean Dice of each runtime and the medians of its wall and CPU seconds an image."""
    counts = {name: [] for name in runtimes}
    clocks = {name: [] for name in runtimes}
    for run in runtimes.values():
        run(images[:1].astype(np.float32))  # the first call compiles
    for image, mask in zip(images, masks, strict=True):
        for name, run in runtimes.items():
            wall, cpu = time.perf_counter(), time.process_time()
            probability = run(image[None].astype(np.float32))
            clocks[name].append((time.perf_counter() - wall, time.process_time() - cpu))
            counts[name].append(count(mask, probability[0, ..., 0] >= 0.5))
    scored = {name: float(dice(stack(each)).mean()) for name, each in counts.items()}
    return scored, {name: tuple(np.median(each, axis=0).tolist()) for name, each in clocks.items()}


if __name__ == "__main__":
    main()
