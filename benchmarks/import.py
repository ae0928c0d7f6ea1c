"""Measure `unetseg import`: images per second and peak memory for a folder of synthetic images and label images.

`python benchmarks/import.py 2000` makes the folder in a temporary place, imports it, and prints both.
"""

import contextlib
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import psutil

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
        with watched_memory() as megabytes:
            begin = time.monotonic()
            summary = import_archive([root / "data"], root / "a.zip")
            seconds = time.monotonic() - begin
        rate = f"{summary.images} images, {summary.objects} objects in {seconds:.1f} s: {count / seconds:.0f} images/s"
        middle, most = max(megabytes[: len(megabytes) // 2]), max(megabytes)
        print(f"{rate}; memory of all processes: at most {middle:.0f} MB in the first half, {most:.0f} MB in all")


@contextlib.contextmanager
def watched_memory() -> Iterator[list[float]]:
    """Note the memory of this process and its children, five times a second."""
    ended, megabytes = threading.Event(), [0.0]

    def watch() -> None:
        own = psutil.Process()
        while not ended.wait(0.2):
            total = 0
            for process in (own, *own.children(recursive=True)):
                with contextlib.suppress(psutil.Error):
                    total += process.memory_info().rss
            megabytes.append(total / 2**20)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield megabytes
    finally:
        ended.set()
        thread.join()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2000)
