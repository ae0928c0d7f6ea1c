"""Compare estimates of the Dice of images, made without their truth, on the folds of experiments never seen.

    python benchmarks/estimate.py [--tta] --arrays data/arrays fold0 fold1 …

Each folder holds the `unet_model.keras` and the `split.csv` of a fold (`dvc get . models/unet_model.keras --rev
NAME`, and data/split.csv likewise). Estimates are calibrated on the fold's validation images and scored on its test
images.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
from sklearn.isotonic import IsotonicRegression

from unetseg.evaluation.calibration import calibrate, score_estimate
from unetseg.evaluation.scores import count, dice
from unetseg.files import read_csv
from unetseg.model.file import load_model
from unetseg.prediction.predictor import Predictor
from unetseg.prediction.quality import expected_dice, overlap, stability, steadiness

Values = list[float]
Fit = Callable[[Values, Values], Callable[[float], float]]


def as_it_is(_known: Values, _true: Values) -> Callable[[float], float]:
    """Take the value itself."""
    return lambda value: value


def isotonic(known: Values, true: Values) -> Callable[[float], float]:
    """Fit centred isotonic regression: each of its steps is the point at its mean, with lines between them."""
    values = np.array([0.0, *known])
    fitted = IsotonicRegression(y_min=0, y_max=1).fit_transform(values, [0.0, *true])
    steps, members = np.unique(fitted, return_inverse=True)
    centres = np.bincount(members, values) / np.bincount(members)
    return lambda value: float(np.interp(value, [*centres, 1.0], [*steps, steps[-1]]))


def by_mean(known: Values, true: Values) -> Callable[[float], float]:
    """Multiply what is missing to 1 so that the mean is right."""
    factor = sum(1 - each for each in true) / sum(1 - each for each in known)
    return lambda value: max(0.0, 1 - factor * (1 - value))


def used(known: Values, true: Values) -> Callable[[float], float]:
    """Calibrate as `evaluate` does."""
    return calibrate(known, true).dice_of


ESTIMATES: dict[str, tuple[str, Fit]] = {
    "expected Dice, isotonic regression": ("expected", isotonic),
    "expected Dice as it is": ("expected", as_it_is),
    "stability as it is": ("stability", as_it_is),
    "stability, isotonic regression": ("stability", isotonic),
    "stability, by the mean": ("stability", by_mean),
    "the same, but never above the stability": ("stability", used),
}


def predict(predictor: Predictor, arrays: Path, names: list[str]) -> dict[str, Values]:
    """Predict images; give the true Dice of each, and what the prediction says of it."""
    places = {row["id"]: int(row["index"]) for row in read_csv(arrays / "samples.csv")}
    images, masks = (np.load(arrays / f"{each}.npy", mmap_mode="r") for each in ("images", "masks"))
    found: dict[str, Values] = {"dice": [], "expected": [], "stability": []}
    for name, seen in zip(names, predictor.fitted(images[places[name]] for name in names), strict=True):
        found["dice"].append(float(dice(count(masks[places[name]] > 0, seen >= np.float32(0.5)))))
        found["expected"].append(expected_dice(overlap(seen, 0.5)))
        found["stability"].append(stability(steadiness(seen, 0.5)))
    return found


def main() -> None:
    """Print a line per estimate: error and AUC over all folds, and AUC by fold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--arrays", type=Path, required=True)
    parser.add_argument("--tta", action="store_true", help="average over the 8 flips and quarter turns")
    parser.add_argument("folds", type=Path, nargs="+", metavar="FOLD")
    options = parser.parse_args()
    folds = []
    for folder in options.folds:
        predictor = Predictor(load_model(folder / "unet_model.keras"), tta=options.tta)
        rows = read_csv(folder / "split.csv")
        subsets = [[row["id"] for row in rows if row["subset"] == name] for name in ("validation", "test")]
        folds.append([predict(predictor, options.arrays, names) for names in subsets])
    print("| estimate | mean absolute error | AUC for Dice below 0.8 | the same by fold |\n| --- | --- | --- | --- |")
    for name, (of, fit) in ESTIMATES.items():
        scored = []
        for validation, test in folds:
            estimate = fit(validation[of], validation["dice"])
            pairs = zip(test[of], test["dice"], strict=True)
            scored.append([{"estimated_dice": estimate(value), "dice_native": true} for value, true in pairs])
        total = score_estimate([row for rows in scored for row in rows])
        each = ", ".join(f"{score_estimate(rows)['auc_below_0.8']:.2f}" for rows in scored)
        print(f"| {name} | {total['mae']:.4f} | {total['auc_below_0.8']:.3f} | {each} |")


if __name__ == "__main__":
    main()
