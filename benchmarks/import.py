"""Measure `unetseg import`: images per second and peak memory for a folder of synthetic images and label images.

`python benchmarks/import.py 2000` makes the folder in a temporary place, imports it, and prints both.
"""

import resource
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

from unetseg.dataset.importing import import_archive


def main(count: int, size: int = 256) -> None:
    """Make `count` images with 16 objects each, import them, and print how fast and in how much memory."""
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (size, size), np.uint8)
    labels = np.zeros((size, size), np.uint16)
    for number in range(16):
        row, column = divmod(number, 4)
        cv2.circle(labels, (32 + 60 * column, 32 + 60 * row), 20, number + 1, -1)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for part, pixels in (("images", image), ("labels", labels)):
            (root / "data" / part).mkdir(parents=True)
            content = cv2.imencode(".png", pixels)[1].tobytes()
            for number in range(count):
                (root / "data" / part / f"{number:05}.png").write_bytes(content)
        begin, before = time.monotonic(), _peak()
        summary = import_archive([root / "data"], root / "a.zip")
        seconds = time.monotonic() - begin
        rate = f"{summary.images} images, {summary.objects} objects in {seconds:.1f} s: {count / seconds:.0f} images/s"
        print(f"{rate}; peak memory {before:.0f} MB before, {_peak():.0f} MB after")


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2000)
