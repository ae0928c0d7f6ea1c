"""Measure Dice of the same test images in other dress: inverted, tinted, dimmed, blurred, enlarged and so on.

    python benchmarks/invariance.py --samples data/unzipped --split data/split.csv --out metrics/invariance.csv

Each image is predicted as `unetseg predict` would with its default options, or as --scale says, and scored at the size
it is shown at. A row of the table gives the mean Dice in one dress, its difference from the plain images, and how many
images lose more than 0.1.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from unetseg import load_model, predict
from unetseg.dataset.samples import read_sample
from unetseg.evaluation.scores import count, dice
from unetseg.files import read_csv, write_csv

ROOT = Path(__file__).resolve().parents[1]
LEVELS = 20

Pair = tuple[np.ndarray, np.ndarray]  # an image and its mask


def hot_pixels(image: np.ndarray) -> np.ndarray:
    """Show an image in 16 bit, of which it uses a sixteenth, with a few pixels at the end of the range."""
    deep = image.astype(np.uint16) * 16
    places = np.random.default_rng(0).integers(0, deep.shape[0] * deep.shape[1], 5)
    deep.reshape(-1, 3)[places] = 65535
    return deep


def tinted(image: np.ndarray) -> np.ndarray:
    """Show a grey image in blue on black; a coloured one in grey."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    if np.ptp(image.astype(int), axis=-1).max() > 0:
        return np.repeat(grey[..., None], 3, -1)
    return np.stack([np.zeros_like(grey), np.zeros_like(grey), grey], -1)


def raised(image: np.ndarray) -> np.ndarray:
    """Lift the darkest value to 140 of 255, and squeeze the range above it."""
    return (140 + image * (115 / 255)).round().astype(np.uint8)


def dimmed(image: np.ndarray) -> np.ndarray:
    """Leave 20 grey levels, all of them dark."""
    return (image.astype(np.float32) / max(image.max(), 1) * (LEVELS - 1)).round().astype(np.uint8)


def jpeg(image: np.ndarray) -> np.ndarray:
    """Compress as JPEG of quality 50."""
    packed = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 50])[1]
    return cv2.imdecode(packed, cv2.IMREAD_COLOR)[..., ::-1]


def resized(image: np.ndarray, mask: np.ndarray, factor: float) -> Pair:
    """Show an image with other pixels."""
    way = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    size = (round(image.shape[1] * factor), round(image.shape[0] * factor))
    return cv2.resize(image, size, interpolation=way), cv2.resize(mask, size, interpolation=cv2.INTER_NEAREST_EXACT)


def on_a_canvas(image: np.ndarray, mask: np.ndarray) -> Pair:
    """Put an image on a canvas of four times its area, of the median value of its border."""
    height, width = mask.shape
    rim = np.concatenate([image[0], image[-1], image[:, 0], image[:, -1]])
    canvas = np.empty((2 * height, 2 * width, 3), np.uint8)
    canvas[:] = np.median(rim, axis=0)
    larger = np.zeros((2 * height, 2 * width), mask.dtype)
    canvas[height // 2 :, width // 2 :][:height, :width] = image
    larger[height // 2 :, width // 2 :][:height, :width] = mask
    return canvas, larger


def of_values(change: Callable[[np.ndarray], np.ndarray]) -> Callable[[np.ndarray, np.ndarray], Pair]:
    """Make a dress of what changes values and leaves the mask as it is."""
    return lambda image, mask: (change(image), mask)


DRESSES: dict[str, Callable[[np.ndarray, np.ndarray], Pair]] = {
    "plain": lambda image, mask: (image, mask),
    "inverted": of_values(lambda image: 255 - image),
    "blue on black, or grey": of_values(tinted),
    "16 bit with hot pixels": of_values(hot_pixels),
    "background raised": of_values(raised),
    "20 grey levels": of_values(dimmed),
    "blurred by 1.5 pixels": of_values(lambda image: cv2.GaussianBlur(image, (0, 0), 1.5)),
    "half the pixels": lambda image, mask: resized(image, mask, 0.5),
    "twice the pixels": lambda image, mask: resized(image, mask, 2.0),
    "canvas four times as large": on_a_canvas,
    "JPEG of quality 50": of_values(jpeg),
}


def main() -> None:
    """Score every dress, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=ROOT / "pretrained" / "nuclei.keras")
    parser.add_argument("--samples", type=Path, default=ROOT / "data" / "unzipped")
    parser.add_argument("--split", type=Path, default=ROOT / "data" / "split.csv")
    parser.add_argument("--images", type=int, default=0, help="use only so many, spread over the list; 0: all")
    parser.add_argument("--scale", help="as the argument of unetseg.predict; default: its own default")
    parser.add_argument("--out", type=Path, required=True, help="CSV to write")
    options = parser.parse_args()
    model = load_model(options.model)
    chosen = {"scale": options.scale} if options.scale else {}
    names = [row["id"] for row in read_csv(options.split) if row["subset"] == "test"]
    if options.images:
        names = names[:: max(1, len(names) // options.images)]
    scores: dict[str, list[float]] = {name: [] for name in DRESSES}
    for name in names:
        sample = read_sample(options.samples / name)
        for dress, change in DRESSES.items():
            image, mask = change(sample.image, (sample.labels > 0).astype(np.uint8))
            scores[dress].append(float(dice(count(mask > 0, predict(image, model, **chosen).mask))))
    plain = np.array(scores["plain"])
    rows = []
    for dress, values in scores.items():
        loss = plain - np.array(values)
        figures = {"dice": f"{np.mean(values):.4f}", "difference": f"{-loss.mean():+.4f}"}
        rows.append({"dress": dress, **figures, "worse_by_0.1": int((loss > 0.1).sum()), "images": len(values)})
        print(*rows[-1].values(), sep="\t", flush=True)
    write_csv(options.out, rows, list(rows[0]))


if __name__ == "__main__":
    main()
