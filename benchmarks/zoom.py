"""Score each zoom of `predict` on labelled images: fitted, in tiles at fixed zooms, as `auto` chooses, and the best.

    python benchmarks/zoom.py --model M.keras --limit 20 FOLDER|ARCHIVE.zip …

With --canvas 2 an image is repeated on a canvas twice as high and wide, which must score as the image alone (24 makes
6144x6144 of 256x256); with --magnify 2 it is enlarged. --ways auto tries no other way. Prints a row per data set with
the peak memory so far, and with -v a line per image, with estimated Dice in brackets.
"""

import argparse
import resource
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from unetseg import load_model, predict
from unetseg.dataset.samples import find_samples, read_sample
from unetseg.evaluation.scores import count, dice
from unetseg.images.resampling import resize

ZOOMS = (0.25, 0.5, 1.0, 2.0)
WAYS = {"fit": {"scale": "resize"}, **{f"{zoom:g}": {"zoom": zoom} for zoom in ZOOMS}, "auto": {}}


def read(source: Path, limit: int, stack: ExitStack) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Give image and mask of samples that are spread over the data set."""
    folder = source
    if source.suffix == ".zip":
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        with zipfile.ZipFile(source) as archive:
            archive.extractall(folder)
    found = find_samples(folder)
    for path in found[:: max(1, len(found) // limit)][:limit]:
        sample = read_sample(path)
        yield sample.image, sample.labels > 0


def change(image: np.ndarray, mask: np.ndarray, canvas: int, magnify: float) -> tuple[np.ndarray, np.ndarray]:
    """Repeat an image and its mirror images on a canvas, at another magnification."""
    more = [(0, side * (canvas - 1)) for side in mask.shape]
    image, mask = np.pad(image, [*more, (0, 0)], "symmetric"), np.pad(mask, more, "symmetric")
    height, width = (round(side * magnify) for side in mask.shape)
    return resize(image, height, width), resize(mask.view(np.uint8) * np.uint8(255), height, width) > 127


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--limit", type=int, default=20, help="images of each data set")
    parser.add_argument("--canvas", type=int, default=1)
    parser.add_argument("--magnify", type=float, default=1.0)
    parser.add_argument("--ways", nargs="+", choices=list(WAYS), default=list(WAYS))
    parser.add_argument("-v", "--verbose", action="store_true")
    parser.add_argument("sources", nargs="+", type=Path)
    options = parser.parse_args()
    model = load_model(options.model)
    ways = {name: WAYS[name] for name in options.ways}
    print(f"| data | images | {' | '.join(ways)} | best | MB |\n| --- | --- |{' --- |' * (len(ways) + 2)}")
    with ExitStack() as stack:
        for source in options.sources:
            rows = []
            for original in read(source, options.limit, stack):
                image, mask = change(*original, options.canvas, options.magnify)
                found = {name: predict(image, model, **way) for name, way in ways.items()}
                rows.append([float(dice(count(mask, each.mask))) for each in found.values()])
                if options.verbose:
                    pairs = zip(rows[-1], found.values(), strict=True)
                    told = (f"{score:.3f} ({each.estimated_dice:.3f})" for score, each in pairs)
                    zoom = [*found.values()][-1].zoom
                    print(f"{mask.shape} zoom {zoom:.2f}: {', '.join(told)}", flush=True)
            table = np.array(rows)
            means = " | ".join(f"{mean:.4f}" for mean in [*table.mean(axis=0), table.max(axis=1).mean()])
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            print(f"| {source.stem} | {len(rows)} | {means} | {peak:.0f} |", flush=True)


if __name__ == "__main__":
    main()
