"""Train two recipes in turn on the same cores, split and images, and print how long each takes to a validation Dice.

    dvc repro split   # with data.archive and split as wanted
    python benchmarks/time_to_dice.py --out metrics/time_to_dice presets/plain.yaml presets/laptop.yaml

A recipe is a preset over params.yaml. Each is trained in a process of its own by the library's `train`. Seconds are
those of training alone, wall clock and CPU, without validation and saving states; a time to a Dice
is that of the first epoch whose validation Dice is as high. Batches are made ahead of the training by a thread; it can
be `waited` for the first one of an epoch, and for what another takes longer than a step. A crop counts as an image.
"""

import argparse
import json
import math
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from dvc.utils.serialize import modify_yaml, parse_yaml

from unetseg.files import read_csv, write_csv, write_json
from unetseg.report.look import picture

ROOT = Path(__file__).resolve().parents[1]
LEVELS = (0.80, 0.85, 0.88, 0.90, 0.91)
CLOCKS = {"wall": time.monotonic, "cpu": time.process_time}
ROUNDS, BATCH = 5, 8


def train_recipe(preset: Path, arrays: Path, split: Path, minutes: float, values: list[str], out: Path) -> None:
    """Train a recipe; write a row for each epoch, the facts of the run, and the model."""
    import unetseg.training  # noqa: F401 - before Keras, whose convolutions it chooses
    from unetseg.model import keras
    from unetseg.model.file import save_model
    from unetseg.params_file import load_params
    from unetseg.training.batches import TrainingBatches, open_batches
    from unetseg.training.fit import train

    made: list[float] = []
    make = TrainingBatches.__getitem__

    class Clock(keras.callbacks.Callback):
        """Add up the seconds of training, epoch by epoch, and stop when the minutes are over."""

        def __init__(self) -> None:
            super().__init__()
            self.spent, self.rows, self.waited = dict.fromkeys(CLOCKS, 0.0), [], 0.0

        def on_epoch_begin(self, _epoch: int, _logs: Any = None) -> None:
            self.started = {name: clock() for name, clock in CLOCKS.items()}
            made.clear()

        def on_test_begin(self, _logs: Any = None) -> None:
            for name, clock in CLOCKS.items():
                self.spent[name] += clock() - self.started[name]
            step = (time.monotonic() - self.started["wall"]) / len(made)
            self.waited += made[0] + sum(max(0.0, seconds - step) for seconds in made[1:])

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            spent = {name: round(seconds, 2) for name, seconds in {**self.spent, "waited": self.waited}.items()}
            self.rows.append({"recipe": preset.stem, "epoch": epoch + 1, "val_dice": logs["val_dice"], **spent})
            write_csv(out / "epochs.csv", self.rows, list(self.rows[0]))
            if self.spent["wall"] > 60 * minutes:
                self.model.stop_training = True

    def timed(batches: TrainingBatches, number: int) -> Any:
        started = time.monotonic()
        batch = make(batches, number)
        made.append(time.monotonic() - started)
        return batch

    TrainingBatches.__getitem__ = timed  # to look at it
    params = load_params(merged(preset, values, out / "params.yaml"))
    batches, validation = open_batches(arrays, split, mode="resize", settings=params.train, strength=params.augment)
    clock = Clock()
    unet, history = train(
        batches,
        validation,
        size=params.image.size,
        model=params.model,
        settings=params.train,
        state=out / "state",
        callbacks=[clock],
    )
    save_model(out / "model.keras", unet, {})
    last = clock.rows[-1]
    facts = {
        "epochs": last["epoch"],
        "best_val_dice": history.best_dice,
        "images_per_second": batches.num_batches * params.train.batch_size * last["epoch"] / last["wall"],
        "waited_for_data": last["waited"] / last["wall"],
        "parameters": unet.count_params(),
        "multiply_adds": multiply_adds(unet),
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    (out / "facts.json").write_text(json.dumps(facts), encoding="utf-8")


def merged(preset: Path, values: list[str], target: Path) -> Path:
    """Write params.yaml with the values of a preset, and of key=value pairs, put in."""
    from unetseg.params_file import read_preset

    shutil.copy(ROOT / "params.yaml", target)
    given = {key: parse_yaml(value, target) for key, value in (pair.split("=", 1) for pair in values)}
    with modify_yaml(target) as params:
        for key, value in (read_preset(preset) | given).items():
            section, name = key.split(".")
            params[section][name] = value
    return target


def multiply_adds(model: Any) -> int:
    """Count the multiplications of all convolutions for one image of the model's size."""
    from unetseg.model import keras

    network = model.get_layer("unet")
    kernels = ("kernel", "depthwise_kernel", "pointwise_kernel")
    layers = [layer for layer in network.layers if any(hasattr(layer, name) for name in kernels)]
    # In a transposed convolution each input value, not each output value, meets the kernel.
    maps = [layer.input if "Transpose" in type(layer).__name__ else layer.output for layer in layers]
    seen = keras.Model(network.inputs, maps)(keras.ops.zeros((1, *model.input_shape[1:])))
    return sum(
        math.prod(getattr(layer, name).shape) * math.prod(each.shape[1:3])
        for layer, each in zip(layers, seen, strict=True)
        for name in kernels
        if hasattr(layer, name)
    )


def compare(folders: dict[str, Path], arrays: Path, split: Path) -> dict[str, dict[str, Any]]:
    """Score each model on the test subset, and time their predictions in turn."""
    import numpy as np

    from unetseg.dataset.subsets import subset_rows
    from unetseg.evaluation.scores import count, dice, stack
    from unetseg.model.file import load_model
    from unetseg.prediction.predictor import Predictor, forward

    chosen = [int(row["index"]) for row in subset_rows(arrays / "samples.csv", split, "test")]
    images, masks = (np.load(arrays / f"{name}.npy", mmap_mode="r")[chosen] for name in ("images", "masks"))
    models = {name: load_model(folder / "model.keras") for name, folder in folders.items()}
    facts = {name: json.loads((folder / "facts.json").read_text(encoding="utf-8")) for name, folder in folders.items()}
    parts = [images[start : start + BATCH].astype(np.float32) for start in range(0, len(chosen) - BATCH + 1, BATCH)]
    seconds: dict[str, list[float]] = {name: [] for name in models}
    for name, model in models.items():
        for key, tta in (("test_dice", False), ("test_dice_tta", True)):
            predicted = Predictor(model, tta=tta).fitted(images)
            counts = [count(mask > 0, probability >= 0.5) for mask, probability in zip(masks, predicted, strict=True)]
            facts[name][key] = float(dice(stack(counts)).mean())
    for _ in range(ROUNDS):
        for name, model in models.items():
            started = time.monotonic()
            for part in parts:
                forward(model, part)
            seconds[name].append((time.monotonic() - started) / (len(parts) * BATCH))
    for name, each in seconds.items():
        facts[name]["predict_ms_per_image"] = 1e3 * statistics.median(each)
    return facts


def draw(rows: list[dict[str, str]], target: Path) -> None:
    """Draw validation Dice against the minutes of both clocks."""
    with picture(target) as figure:
        panels = figure.subplots(1, 2, sharey=True)
        for panel, clock, title in zip(panels, CLOCKS, ("wall clock", "CPU time"), strict=True):
            for recipe in dict.fromkeys(row["recipe"] for row in rows):
                own = [row for row in rows if row["recipe"] == recipe]
                minutes = [float(row[clock]) / 60 for row in own]
                panel.plot(minutes, [float(row["val_dice"]) for row in own], marker="o", label=recipe)
            panel.set(xlabel=f"minutes of training, {title}", xlim=(0, None), ylim=(0.6, 0.95))
        panels[0].set_ylabel("validation Dice")
        panels[0].legend()
        figure.suptitle("Time to Dice: two cores, no GPU, the same images and split")


def main() -> None:
    """Train the recipes in turn and print what they took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("presets", type=Path, nargs="+")
    parser.add_argument("--arrays", type=Path, default=ROOT / "data" / "arrays")
    parser.add_argument("--split", type=Path, default=ROOT / "data" / "split.csv")
    parser.add_argument("--minutes", type=float, default=60, help="of training for each recipe, at most")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="for all recipes")
    parser.add_argument(
        "--out", type=Path, required=True, help="folder of epochs.csv, summary.json and time_to_dice.png"
    )
    parser.add_argument(
        "--work", type=Path, default=None, help="keep the models here; what is there is not trained again"
    )
    parser.add_argument("--recipe", action="store_true", help="only train the one preset, into --out")
    options = parser.parse_args()
    if options.recipe:
        train_recipe(options.presets[0], options.arrays, options.split, options.minutes, options.set, options.out)
        return
    work = options.work or Path(tempfile.mkdtemp())
    folders = {preset.stem: work / preset.stem for preset in options.presets}
    for preset, folder in zip(options.presets, folders.values(), strict=True):
        if not (folder / "facts.json").exists():
            folder.mkdir(parents=True, exist_ok=True)
            command = [sys.executable, __file__, *sys.argv[1:], "--recipe", "--out", str(folder)]
            own = [word for word in command if word not in {str(other) for other in options.presets}]
            subprocess.run([*own, str(preset)], check=True)
    rows = [row for folder in folders.values() for row in read_csv(folder / "epochs.csv")]
    summary = compare(folders, options.arrays, options.split)
    for recipe, facts in summary.items():
        for clock in CLOCKS:
            own = [row for row in rows if row["recipe"] == recipe]
            first = {level: next((row for row in own if float(row["val_dice"]) >= level), None) for level in LEVELS}
            facts[f"{clock}_seconds_to"] = {f"{level:.2f}": row and float(row[clock]) for level, row in first.items()}
    options.out.mkdir(parents=True, exist_ok=True)
    write_csv(options.out / "epochs.csv", rows, list(rows[0]))
    write_json(options.out / "summary.json", summary)
    draw(rows, options.out / "time_to_dice.png")
    print(json.dumps(summary, indent=2))


if __name__ == "__main__":
    main()
