"""Measure exported models: the Dice that fewer bits cost on real images, and the speed of each runtime.

    python benchmarks/export.py ../shared/data/stage1_small.zip

The images of the archive, in the layout of the pipeline, are shared out in turn: ranges for int8 are taken from the
first, third, …, Dice is that of the others, at the model's size. Runtimes are tried in turn, image by image, so that
other work on the machine slows all of them alike; their CPU time is given, too. The figures go to
metrics/export.json with the hash of the model, and into the table of docs/model-choices.md.
"""

import argparse
import os
import re
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from unetseg.dataset.samples import find_samples, read_sample
from unetseg.evaluation.scores import count, dice, stack
from unetseg.export.runtimes import EXPORTS, export_model
from unetseg.files import sha256, write_json, write_text
from unetseg.images.resampling import fit
from unetseg.model.file import load_model

ROOT = Path(__file__).parents[1]
FIGURES, PAGE = ROOT / "metrics" / "export.json", ROOT / "docs" / "model-choices.md"
TRIED = (("onnx", "float32"), ("litert", "float32"), ("litert", "float16"), ("litert", "int8"))


def main() -> None:
    """Measure Keras and each export, and write the figures and the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("archive", type=Path)
    parser.add_argument("--model", type=Path, default=ROOT / "pretrained" / "nuclei.keras")
    options = parser.parse_args()
    model = load_model(options.model)
    images, masks = read(options.archive, model.input_shape[1])
    with tempfile.TemporaryDirectory() as folder:
        runtimes = {"Keras float32": lambda batch: np.asarray(model.predict_on_batch(batch))}
        megabytes = {"Keras float32": options.model.stat().st_size / 1e6}
        for to, precision in TRIED:
            out, name = Path(folder, f"{to}-{precision}{EXPORTS[to].suffix}"), f"{to} {precision}"
            given = images[::2] if precision == "int8" else images[:2]  # the others are only compared on them
            export_model(model, out, to=to, precision=precision, images=given, allow_loss=True)
            runtimes[name], megabytes[name] = EXPORTS[to].runtime(out), out.stat().st_size / 1e6
        scored, clocked = measure(runtimes, images[1::2], masks[1::2])
    rows = [
        {
            "runtime": name,
            "megabytes": round(megabytes[name], 1),
            "dice": round(scored[name], 4),
            "images_per_second": round(1 / wall, 1),
            "cpu_milliseconds": round(1e3 * cpu),
        }
        for name, (wall, cpu) in clocked.items()
    ]
    figures = {"archive": options.archive.name, "images": len(images[1::2]), "cores": os.cpu_count(), "rows": rows}
    write_json(FIGURES, {"model": options.model.name, "sha256": sha256(options.model), **figures})
    table = ["| runtime | MB | mean Dice | images/s | CPU ms per image |", "| --- | --- | --- | --- | --- |"]
    table += [f"| {' | '.join(map(str, row.values()))} |" for row in rows]
    print("\n".join(table))
    lines = "\n".join(["<!-- export -->", *table, "<!-- /export -->"])
    write_text(PAGE, re.sub(r"(?s)<!-- export -->.*<!-- /export -->", lines, PAGE.read_text("utf-8")))


def read(archive: Path, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Read the images and masks of an archive at the model's size, as preprocess makes them."""
    with tempfile.TemporaryDirectory() as folder:
        with zipfile.ZipFile(archive) as file:
            file.extractall(folder)
        samples = [read_sample(path) for path in find_samples(Path(folder))]
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
