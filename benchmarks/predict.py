"""Measure `unetseg predict`: its speed beside the bare model's, its memory on a huge image, its seams, its two scales.

    python benchmarks/predict.py speed --model M.keras IMAGES        images/s, beside the same passes of the model alone
    python benchmarks/predict.py memory --model M.keras IMAGES       a mosaic of 20,000 x 20,000 pixels, in tiles
    python benchmarks/predict.py seam --model M.keras IMAGES         tiles against one pass over a mosaic that fits
    python benchmarks/predict.py scale --model M.keras --split data/split.csv data/unzipped     Dice at native size

IMAGES is a folder of images. Compare figures of one run only: other work on the machine changes all of them.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import tifffile

from unetseg import predict
from unetseg.dataset.samples import read_sample
from unetseg.evaluation.comparison import bootstrap_interval
from unetseg.evaluation.scores import count, dice, stack
from unetseg.files import read_csv
from unetseg.images.inputs import find_inputs
from unetseg.images.opening import open_image, read_image
from unetseg.model import keras
from unetseg.model.facts import read_facts
from unetseg.model.file import load_model
from unetseg.prediction.folder import FilePredictor
from unetseg.prediction.predictor import Predictor
from unetseg.prediction.results import Results
from unetseg.prediction.settings import Settings, find_tuning
from unetseg.prediction.tiles import TILE
from unetseg.prediction.zoom import Zooming


def measure_speed(options: argparse.Namespace) -> None:
    """Alternate between all of the command's work, and the same passes of the model alone on arrays that are ready."""
    predictor, tuning = Predictor(load_model(options.model)), find_tuning(options.model, read_facts(options.model))[0]
    sources = find_inputs([str(options.images)], Path()).images
    tuned = {name: getattr(tuning, name) for name in ("threshold", "depth", "min_size")}
    settings = Settings(scale=options.scale, objects=options.objects, **tuned)

    def predict_all() -> int:
        with tempfile.TemporaryDirectory() as out:
            results = Results(Path(out), settings, (), options.model, tuning)
            outcomes = list(FilePredictor(predictor, Zooming(settings, tuning)).predict(sources, results))
            results.gather(sources)
        return sum(outcome is not None for outcome in outcomes)

    with recorded() as passes:
        predict_all()
    ready = {shape: np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32) for _, shape in passes}
    ratios = []
    for _ in range(options.rounds):
        bare = clocks()
        for model, shape in passes:
            model.predict_on_batch(ready[shape])
        bare, whole = clocks() - bare, clocks()
        failed = predict_all()
        whole = clocks() - whole
        ratios.append(bare / whole)
        rates, spent = len(sources) / np.array([bare, whole])[:, 0], 1e3 * np.array([bare, whole])[:, 1] / len(sources)
        print(f"bare {rates[0]:.1f}/s, {spent[0]:.1f} ms of CPU an image", end="; ")
        print(f"predict {rates[1]:.1f}/s, {spent[1]:.1f} ms; {failed} failed", flush=True)
    wall, cpu = np.median(ratios, axis=0)
    print(f"{len(sources)} images: predict has {wall:.1%} of the bare model's speed (median); by CPU time {cpu:.1%}")


@contextmanager
def recorded() -> Iterator[list[tuple[keras.Model, tuple[int, ...]]]]:
    """Note each pass of a model, and the shape of what it is given."""
    passes, predict_on_batch = [], keras.Model.predict_on_batch

    def noted(model: keras.Model, batch: np.ndarray) -> np.ndarray:
        passes.append((model, batch.shape))
        return predict_on_batch(model, batch)

    keras.Model.predict_on_batch = noted
    try:
        yield passes
    finally:
        keras.Model.predict_on_batch = predict_on_batch


def clocks() -> np.ndarray:
    """Give the seconds passed, and those computed by this process, which other work hardly changes."""
    return np.array([time.perf_counter(), time.process_time()])


def measure_memory(options: argparse.Namespace) -> None:
    """Predict a huge mosaic with the command, in a process of its own whose peak memory is then read."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "mosaic.tif")
        write_mosaic(path, options.images, options.size)
        words = [sys.executable, "-m", "unetseg.cli", "predict", "--model", str(options.model), "--scale", "tiles"]
        started = time.perf_counter()
        subprocess.run([*words, "--write", options.write, "--out", f"{folder}/out", str(path)], check=True)
        seconds = time.perf_counter() - started
        rows = len(read_csv(Path(folder, "out/objects.csv")))
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(f"{options.size}x{options.size} pixels, {rows} objects: {peak:.0f} MB at most, {seconds:.0f} s")


def measure_seams(options: argparse.Namespace) -> None:
    """Compare the blend of overlapping tiles with one pass over the whole image."""
    model = load_model(options.model)
    with tempfile.TemporaryDirectory() as folder:
        write_mosaic(Path(folder, "mosaic.tif"), options.images, options.size)
        with open_image(Path(folder, "mosaic.tif")) as image:
            mosaic = image.rows(0, image.height)
    once = Predictor(model, "tiles", tile=2 * options.size).image(mosaic)
    for tile in (256, 512, TILE):
        tiled = Predictor(model, "tiles", tile=tile).image(mosaic)
        most, differing = np.abs(tiled - once).max(), ((tiled >= 0.5) != (once >= 0.5)).mean()
        print(f"tiles of {tile}: probability differs by {most:.5f} at most, the mask in {differing:.4%} of pixels")


def measure_scales(options: argparse.Namespace) -> None:
    """Score both scales at the native size of the images of a subset, by kind and size."""
    model = load_model(options.model)
    rows = [row for row in read_csv(options.split) if row["subset"] == options.subset]
    samples = [read_sample(options.images / row["id"]) for row in rows]
    strata = np.array([row["stratum"] for row in rows])
    scored = {}
    for scale in ("resize", "tiles"):
        masks = [predict(sample.image, model, scale=scale).mask for sample in samples]
        pairs = zip(samples, masks, strict=True)
        scored[scale] = dice(stack([count(sample.labels > 0, mask) for sample, mask in pairs]))
    print("| kind and size | images | resize | tiles |\n| --- | --- | --- | --- |")
    for name, chosen in {"all": strata != "", **{each: strata == each for each in sorted(set(strata))}}.items():
        means = " | ".join(f"{scored[scale][chosen].mean():.4f}" for scale in ("resize", "tiles"))
        print(f"| {name} | {chosen.sum()} | {means} |")
    gained = scored["tiles"] - scored["resize"]
    low, high = bootstrap_interval(gained, [row["group"] for row in rows], 2000, 0) or (np.nan, np.nan)
    print(f"tiles - resize: {gained.mean():+.4f} [{low:+.4f}, {high:+.4f}]; better in {np.mean(gained > 0):.0%}")


def write_mosaic(path: Path, images: Path, size: int, height: int | None = None) -> None:
    """Write a TIFF tiled with the images, a row of them at a time; square unless a height is given."""
    height = height or size
    parts = [part for part in map(read_image, sorted(images.rglob("*.png"))) if min(part.shape[:2]) >= 256]
    random = np.random.default_rng(0)
    offset, _ = tifffile.imwrite(path, shape=(height, size, 3), dtype=np.uint8, photometric="rgb", returnoffset=True)
    with path.open("r+b") as file:
        file.seek(offset)
        for top in range(0, height, 256):
            chosen = [parts[index][:256, :256] for index in random.integers(len(parts), size=-(-size // 256))]
            np.concatenate(chosen, axis=1)[: height - top, :size].tofile(file)


def main() -> None:
    """Run one of the measurements."""
    cv2.setNumThreads(2)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("figure", choices=("speed", "memory", "seam", "scale"))
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--size", type=int, help="of the mosaic; default 20000, for seams 1664")
    parser.add_argument("--rounds", type=int, default=3, help="of measuring speed")
    parser.add_argument("--scale", default="auto", help="see `unetseg predict`, for speed")
    parser.add_argument("--objects", default="separated", help="see `unetseg predict`, for speed")
    parser.add_argument("--write", default="probability,labels", help="see `unetseg predict`, for memory")
    parser.add_argument("--split", type=Path, help="the table of id and subset, for scale")
    parser.add_argument("--subset", default="validation", help="for scale")
    parser.add_argument("images", type=Path)
    options = parser.parse_args()
    options.size = options.size or (20_000 if options.figure == "memory" else 1664)
    measures = {"speed": measure_speed, "memory": measure_memory, "seam": measure_seams, "scale": measure_scales}
    measures[options.figure](options)


if __name__ == "__main__":
    main()
