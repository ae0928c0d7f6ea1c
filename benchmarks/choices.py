"""Change one choice of a recipe at a time, train each as shortly, and print what each gives and costs as a table.

    dvc repro split   # with data.archive and split as wanted
    python benchmarks/choices.py --out metrics/choices.csv presets/laptop.yaml

The recipe that is changed is the preset's without residual blocks, which came out of this.
Each is a training of its own by `time_to_dice.py`, of --epochs epochs, all but --whole of which see crops. Dice is the
mean over the images of the validation subset with the weights of the best epoch, F1 that of objects with an IoU over
0.5, separated as `evaluate` does by default; seconds are CPU seconds of the training alone.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from time_to_dice import ROOT

from unetseg.files import read_csv, write_csv
from unetseg.progress import progress

BEFORE = ["model.residual=false"]  # the recipe as it was when these were compared
CHOICES: dict[str, list[str]] = {
    "the recipe": [],
    "the recipe, another seed": ["train.seed=1"],
    "12…192 filters": ["model.base_filters=12", "model.max_filters=192"],
    "24…192 filters": ["model.base_filters=24", "model.max_filters=192"],
    "16…128 filters": ["model.max_filters=128"],
    "depth 3": ["model.depth=3"],
    "depth 5": ["model.depth=5"],
    "no strided stem: 8…256 filters, depth 5": ["model.stem_stride=1", "model.base_filters=8", "model.depth=5"],
    "residual blocks": ["model.residual=true"],
    "separable convolutions": ["model.separable=true"],
    "separable, 32…512 filters": ["model.separable=true", "model.base_filters=32", "model.max_filters=512"],
    "SiLU": ["model.activation=silu"],
    "no normalisation": ["model.normalization=none"],
    "images divided by 255": ["model.standardize=false"],
    "no augmentation of colour": [f"augment.{key}=0.0" for key in ("brightness", "contrast", "gamma", "channel")],
    "stains varied by 0.2": ["augment.stain=0.2"],
    "no averaged weights": ["train.ema=0.0"],
    "cross-entropy alone": ["train.loss=bce"],
    "kinds as they come": ["train.balance=0.0"],
    "gradients not clipped": ["train.clip_norm=0.0"],
    "batch of 4": ["train.batch_size=4"],
    "border weights of 10": ["train.border=10.0"],
    "border weights of 2": ["train.border=2.0"],
    "crops of 96": ["train.crop=96"],
    "XLA": ["train.jit_compile=true"],
}


def score(model_file: Path, arrays: Path, split: Path) -> dict[str, float]:
    """Score a model on the validation subset."""
    from unetseg.evaluation import matching, scores
    from unetseg.evaluation.evaluation import predict_subset
    from unetseg.model.file import load_model
    from unetseg.objects.separation import separated_objects
    from unetseg.prediction.predictor import Predictor

    dices, f1s = [], []
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "validation"
        for image in predict_subset(Predictor(load_model(model_file)), arrays, split, name="validation", out=out):
            dices.append(scores.dice(scores.count(image.mask, image.probability >= 0.5)))
            separated = separated_objects(image.probability, 0.5, 1.0, 8)
            f1s.append(matching.f1(matching.match(image.labels, separated), 0.5))
    return {"dice": float(np.mean(dices)), "objects_f1": float(np.mean(f1s))}


def main() -> None:
    """Train each variation and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("preset", type=Path)
    parser.add_argument("--arrays", type=Path, default=ROOT / "data" / "arrays")
    parser.add_argument("--split", type=Path, default=ROOT / "data" / "split.csv")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--whole", type=int, default=1, help="the last epochs, which see whole images")
    parser.add_argument("--only", nargs="+", default=list(CHOICES), choices=list(CHOICES), metavar="CHOICE")
    parser.add_argument("--out", type=Path, required=True, help="CSV; what it holds is not trained again")
    options = parser.parse_args()
    rows: list[dict[str, Any]] = read_csv(options.out) if options.out.exists() else []
    short = [f"train.epochs={options.epochs}", f"train.crop_epochs={options.epochs - options.whole}"]
    todo = [choice for choice in options.only if choice not in {row["choice"] for row in rows}]
    for choice in progress(todo, "train", len(todo)):
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder)
            command = [sys.executable, str(ROOT / "benchmarks" / "time_to_dice.py"), "--recipe", "--out", folder]
            command += ["--arrays", str(options.arrays), "--split", str(options.split), str(options.preset)]
            for value in [*BEFORE, *short, *CHOICES[choice]]:
                command += ["--set", value]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            facts = json.loads((out / "facts.json").read_text(encoding="utf-8"))
            seconds = float(read_csv(out / "epochs.csv")[-1]["cpu"])
            found = score(out / "model.keras", options.arrays, options.split)
        found = {key: round(value, 4) for key, value in found.items()}
        cost = {"cpu_seconds": seconds, **{name: facts[name] for name in ("parameters", "multiply_adds")}}
        rows.append({"choice": choice, **found, **cost})
        write_csv(options.out, rows, list(rows[0]))
    for row in rows:
        print("| " + " | ".join(str(value) for value in row.values()) + " |")


if __name__ == "__main__":
    main()
