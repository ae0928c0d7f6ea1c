"""Score Otsu's threshold on the images of the last run: what a model has to beat.

`python benchmarks/otsu.py` after `dvc repro` prints the mean Dice over the test images and over all images. Objects are
taken to be on that side of the threshold where the mean of the image's border is not.
"""

import sys
from pathlib import Path

import cv2
import numpy as np

from unetseg.evaluation import scores
from unetseg.files import read_csv


def otsu_dice(image: np.ndarray, mask: np.ndarray) -> float:
    """Compute the Dice of one image, RGB, against its mask of 0 and 1."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    threshold, _ = cv2.threshold(grey, 0, 255, cv2.THRESH_OTSU)
    border = np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]]).mean()
    found = grey > threshold if border <= threshold else grey <= threshold
    return float(scores.dice(scores.count(mask > 0, found)))


def main(data: Path) -> None:
    """Print the means."""
    images, masks = (np.load(data / "arrays" / f"{name}.npy", mmap_mode="r") for name in ("images", "masks"))
    subset = {row["id"]: row["subset"] for row in read_csv(data / "split.csv")}
    dice = np.array([otsu_dice(np.array(image), mask) for image, mask in zip(images, masks, strict=True)])
    test = np.array([subset[row["id"]] == "test" for row in read_csv(data / "arrays" / "samples.csv")])
    print(f"Otsu: mean Dice {dice[test].mean():.3f} on {test.sum()} test images, {dice.mean():.3f} on all {len(dice)}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "data"))
