"""Run the pipeline with a preset for several seeds and splits, and print the mean test Dice and its spread.

    python benchmarks/seeds.py --archive data/stage1_train.zip --out metrics/stage1_train/seeds.csv presets/laptop.yaml

A seed is that of the split, of the start weights and of all chance in training: another one, another test subset.
Each run is `dvc exp run`, evaluated with and without averaging over flips and quarter turns (`evaluate.tta`); minutes
are those of training, with validation. The files of each run are kept below --keep; params.yaml and the other files of
the project are left as the last run made them.
"""

import argparse
import json
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

from unetseg.files import read_csv, write_csv
from unetseg.training.checkpoint import load_state

ROOT = Path(__file__).resolve().parents[1]
METRICS = ROOT / "metrics"


def run(preset: Path, archive: str, method: str, seed: int, tta: bool) -> dict[str, float]:
    """Run the pipeline and give what it measured."""
    seeds = [f"split.method={method}", f"split.seed={seed}", f"train.seed={seed}", f"evaluate.tta={str(tta).lower()}"]
    preset_words = subprocess.run(["unetseg", "preset", str(preset)], capture_output=True, text=True, check=True)
    sets = [word for value in [f"data.archive={archive}", *seeds] for word in ("-S", value)]
    subprocess.run(["dvc", "exp", "run", *preset_words.stdout.split(), *sets], cwd=ROOT, check=True, stdout=sys.stderr)
    scores = json.loads((METRICS / "evaluate.json").read_text(encoding="utf-8"))
    dice = scores["dice"]
    tested = {"test_dice": dice["mean"], "test_dice_low": dice["low"], "test_dice_high": dice["high"]}
    return {**tested, "f1_50": scores["objects"]["f1_50"]}


def main() -> None:
    """Run what the table lacks, and sum it up."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("preset", type=Path)
    parser.add_argument("--archive", required=True, help="data.archive")
    parser.add_argument("--methods", nargs="+", default=["random", "grouped"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--keep", type=Path, default=ROOT / ".unetseg" / "seeds")
    parser.add_argument("--out", type=Path, required=True, help="CSV to write; what it holds is not run again")
    options = parser.parse_args()
    rows = read_csv(options.out) if options.out.exists() else []
    for method in options.methods:
        for seed in options.seeds:
            if any(row["method"] == method and row["seed"] == str(seed) for row in rows):
                continue
            averaged = run(options.preset, options.archive, method, seed, tta=True)
            scores = run(options.preset, options.archive, method, seed, tta=False)
            kept = options.keep / f"{method}{seed}"
            shutil.rmtree(kept, ignore_errors=True)
            kept.mkdir(parents=True)
            for file in [*METRICS.glob("*.*"), *(METRICS / "plots").iterdir(), ROOT / "models" / "unet_model.keras"]:
                shutil.copy(file, kept)
            best = json.loads((METRICS / "train.json").read_text(encoding="utf-8"))["best"]
            (state,) = (ROOT / ".unetseg" / "training").iterdir()
            facts, _ = load_state(state) or ({"history": []}, None)
            seconds = sum(row["seconds"] for row in facts["history"])
            found = {
                "minutes": seconds / 60,
                "val_dice": best["val_dice"],
                **scores,
                "test_dice_tta": averaged["test_dice"],
            }
            figures = {name: f"{value:.4f}" for name, value in found.items()}
            rows.append({"method": method, "seed": str(seed), **figures})
            write_csv(options.out, rows, list(rows[0]))
    for method in options.methods:
        for score in ("test_dice", "test_dice_tta", "f1_50"):
            values = [float(row[score]) for row in rows if row["method"] == method]
            spread = f"{min(values):.4f} to {max(values):.4f}"
            print(
                f"{method} {score}: {statistics.mean(values):.4f}, {spread}, deviation {statistics.pstdev(values):.4f}"
            )


if __name__ == "__main__":
    main()
