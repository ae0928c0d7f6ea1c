"""Measure what the form of a file costs: Dice of the same real images, each written in many forms and read back.

    python benchmarks/dress.py --model pretrained/nuclei.keras SAMPLES.zip             the table of docs/images.md
    python benchmarks/dress.py --model pretrained/nuclei.keras --percentiles SAMPLES.zip   which percentiles serve best

SAMPLES.zip has the layout of the pipeline's archive. Plain is the 8-bit file itself.
"""

import argparse
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tifffile
from PIL import Image

from unetseg import load_model, predict
from unetseg.dataset.samples import find_samples, read_sample
from unetseg.evaluation import scores
from unetseg.images import intensity
from unetseg.images.opening import read_image

HOT = 4  # pixels of 65,535 in each image


class Dress(NamedTuple):
    """How to write a form, what it is given, and how to read it."""

    suffix: str
    write: Callable[[Path, np.ndarray], None]
    grey: bool
    options: dict[str, Any] = {}  # noqa: RUF012 - never changed


def tiff(path: Path, values: np.ndarray) -> None:
    """Write a TIFF."""
    tifffile.imwrite(path, values, photometric="rgb" if values.ndim == 3 else "minisblack")


def camera(values: np.ndarray) -> np.ndarray:
    """Give the values of a 12-bit camera with its offset."""
    return values.astype(np.uint16) * 8 + 200


def hot(path: Path, values: np.ndarray) -> None:
    """Write 16 bit with a few hot pixels."""
    pixels, random = camera(values), np.random.default_rng(0)
    pixels[random.integers(0, pixels.shape[0], HOT), random.integers(0, pixels.shape[1], HOT)] = 65535
    tiff(path, pixels)


def two_channels(place: int) -> Callable[[Path, np.ndarray], None]:
    """Write a stack of two channels, the other one being another stain."""

    def write(path: Path, values: np.ndarray) -> None:
        other = np.random.default_rng(0).integers(0, 4000, values.shape, np.uint16)
        stack = np.stack([camera(values), other] if place == 0 else [other, camera(values)])
        tifffile.imwrite(
            path, stack, imagej=True, metadata={"axes": "CYX", "Labels": ["DAPI", "GFP"][:: 1 - 2 * place]}
        )

    return write


def pyramid(path: Path, values: np.ndarray) -> None:
    """Write an OME-TIFF with a smaller copy."""
    with tifffile.TiffWriter(path, ome=True) as file:
        photometric = "rgb" if values.ndim == 3 else "minisblack"
        file.write(values, subifds=1, tile=(64, 64), compression="zlib", photometric=photometric)
        file.write(values[::2, ::2], subfiletype=1, tile=(64, 64), compression="zlib", photometric=photometric)


def depth(path: Path, values: np.ndarray) -> None:
    """Write a stack over depth, of which one plane is bright."""
    stack = np.stack([camera(values) // 4, camera(values), camera(values) // 3])
    tifffile.imwrite(path, stack, imagej=True, metadata={"axes": "ZYX"})


def palette(path: Path, values: np.ndarray) -> None:
    """Write a PNG with a palette of greys, out of order."""
    order = np.random.default_rng(1).permutation(256).astype(np.uint8)
    image = Image.fromarray(np.argsort(order).astype(np.uint8)[values])
    image.putpalette(np.repeat(order, 3).tobytes())
    image.save(path)


def green(path: Path, values: np.ndarray) -> None:
    """Write a TIFF that is displayed in green."""
    colours = np.zeros((3, 256), np.uint16)
    colours[1] = np.arange(256) * 257
    tifffile.imwrite(path, values, photometric="palette", colormap=colours)


def rgba(path: Path, values: np.ndarray) -> None:
    """Write a PNG with alpha that is one value everywhere."""
    Image.fromarray(np.dstack([values, np.full(values.shape[:2], 255, np.uint8)])).save(path)


DRESSES = {
    "8-bit TIFF": Dress(".tif", tiff, grey=False),
    "RGBA PNG": Dress(".png", rgba, grey=False),
    "palette PNG": Dress(".png", palette, grey=True),
    "TIFF displayed in green": Dress(".tif", green, grey=True),
    "white is 0": Dress(".tif", lambda p, v: tifffile.imwrite(p, 255 - v, photometric="miniswhite"), grey=True),
    "16 bit": Dress(".tif", lambda p, v: tiff(p, camera(v)), grey=False),
    "16 bit, hot pixels": Dress(".tif", hot, grey=False),
    "float, 0 to 1": Dress(".tif", lambda p, v: tiff(p, v.astype(np.float32) / 255), grey=False),
    "pyramid, OME-TIFF": Dress(".ome.tif", pyramid, grey=False),
    "2 channels, --channel 0": Dress(".tif", two_channels(0), grey=True, options={"channel": 0}),
    "2 channels, --channel 1": Dress(".tif", two_channels(1), grey=True, options={"channel": 1}),
    "2 channels, --channel DAPI": Dress(".tif", two_channels(1), grey=True, options={"channel": "DAPI"}),
    "3 depths, --project max": Dress(".tif", depth, grey=True, options={"project": "max"}),
}


class Case(NamedTuple):
    """A sample: its image, whether that is grey, and its truth."""

    image: np.ndarray
    grey: bool
    truth: np.ndarray


def dice(cases: list[Case], images: list[np.ndarray], model: Any) -> np.ndarray:
    """Predict images and compare with the truth."""
    masks = [each.mask for each in predict(images, model)]
    return scores.dice(scores.stack([scores.count(case.truth, mask) for case, mask in zip(cases, masks, strict=True)]))


def dressed(case: Case, dress: Dress, folder: Path) -> np.ndarray:
    """Write an image in a form and read it as prediction and training do."""
    path = folder / f"a{dress.suffix}"
    dress.write(path, case.image[..., 0] if case.grey else case.image)
    return read_image(path, **dress.options)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=Path("pretrained/nuclei.keras"))
    parser.add_argument("--percentiles", action="store_true", help="compare percentiles, on 16 bit with hot pixels")
    parser.add_argument("samples", type=Path)
    options = parser.parse_args()
    model = load_model(options.model)
    with tempfile.TemporaryDirectory() as word:
        folder = Path(word)
        zipfile.ZipFile(options.samples).extractall(folder / "samples")
        read = [read_sample(path) for path in find_samples(folder / "samples")]
        cases = [Case(each.image, not np.ptp(each.image, axis=2).any(), each.labels > 0) for each in read]
        plain = dice(cases, [case.image for case in cases], model)
        if options.percentiles:
            print("| percentiles | Dice | plain |\n| --- | --- | --- |")
            for low in (0.0, 0.01, 0.05, 0.1, 0.3, 0.5, 1.0):
                intensity.PERCENTILES = (low, 100 - low)
                scored = dice(cases, [dressed(case, DRESSES["16 bit, hot pixels"], folder) for case in cases], model)
                print(f"| {low:g} and {100 - low:g} | {scored.mean():.4f} | {plain.mean():.4f} |")
            return
        print("| form | images | Dice | plain | difference |\n| --- | --- | --- | --- | --- |")
        for name, dress in DRESSES.items():
            chosen = np.array([case.grey or not dress.grey for case in cases])
            some = [case for case, suits in zip(cases, chosen, strict=True) if suits]
            scored = dice(some, [dressed(case, dress, folder) for case in some], model)
            before, after = plain[chosen].mean(), scored.mean()
            print(f"| {name} | {len(some)} | {after:.4f} | {before:.4f} | {after - before:+.4f} |")


if __name__ == "__main__":
    main()
