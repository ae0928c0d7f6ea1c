"""Time unzip, preprocess and split against a plain loop over the same files, and look whether memory grows.

    python benchmarks/preprocess.py --archive ../shared/data/stage1_train.zip

The loop is what one writes first: one thread that reads each file with OpenCV, merges the masks, resizes and saves. It
starts from extracted files, checks nothing and makes no label maps. Both take turns.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SIZE = 256  # image.size in params.yaml
COPIES = 5


def plain_loop(samples: Path, out: Path) -> None:
    """Read, merge and resize every sample and save two arrays."""
    import cv2
    import numpy as np

    cv2.setNumThreads(1)
    images, masks = [], []
    for folder in sorted(samples.iterdir()):
        image = cv2.imread(str(next((folder / "images").iterdir())))
        mask = np.zeros(image.shape[:2], np.uint8)
        for path in (folder / "masks").iterdir():
            mask = np.maximum(mask, cv2.imread(str(path), cv2.IMREAD_GRAYSCALE))
        images.append(cv2.resize(image, (SIZE, SIZE), interpolation=cv2.INTER_AREA))
        masks.append(cv2.resize(mask, (SIZE, SIZE), interpolation=cv2.INTER_NEAREST))
    np.save(out / "images.npy", np.array(images))
    np.save(out / "masks.npy", np.array(masks))


def run(*command: str | Path) -> tuple[float, float]:
    """Run a Python script in a process of its own; give its seconds and its peak memory in MiB."""
    started = time.monotonic()
    process = subprocess.Popen([sys.executable, *command], cwd=ROOT, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(map(str, command))} failed")
    return time.monotonic() - started, usage.ru_maxrss / 1024


def preprocess(samples: Path, folder: Path) -> tuple[float, float]:
    """Run the stage."""
    outputs = "--out", folder / "arrays", "--report", folder / "preprocess.json"
    return run("stages/preprocess.py", "--samples", samples, *outputs)


def compare_times(archive: Path, folder: Path, rounds: int) -> None:
    """Print what the stages and the loop take, and the ratio of the medians."""
    samples, arrays, split = folder / "unzipped", folder / "arrays", folder / "split.csv"
    times: dict[str, list[float]] = {"unzip": [], "preprocess": [], "split": [], "plain loop": []}
    for _ in range(rounds):
        times["unzip"].append(run("stages/unzip.py", "--archive", archive, "--out", samples)[0])
        times["preprocess"].append(preprocess(samples, folder)[0])
        outputs = "--out", split, "--report", folder / "split.json"
        times["split"].append(run("stages/split.py", "--samples", arrays, "--images", samples, *outputs)[0])
        times["plain loop"].append(run(Path(__file__).resolve(), "--loop", samples, folder)[0])
    medians = {name: statistics.median(seconds) for name, seconds in times.items()}
    for name, seconds in medians.items():
        print(f"{name}: {seconds:.1f} s")
    stages = sum(medians.values()) - medians["plain loop"]
    print(f"the three stages take {stages / medians['plain loop']:.2f} times as long as the plain loop")


def compare_memory(samples: Path, folder: Path) -> None:
    """Print the peak memory of preprocess on the samples and on the same ones several times over."""
    again = folder / "again"
    again.mkdir()
    for sample in samples.iterdir():
        for copy in range(COPIES):
            (again / f"{sample.name}-{copy}").symlink_to(sample)
    once, often = preprocess(samples, folder)[1], preprocess(again, folder)[1]
    print(f"peak memory: {once:.0f} MiB; on {COPIES} times as many samples {often:.0f} MiB, {often / once - 1:+.1%}")


def main() -> None:
    """Run both comparisons in a temporary folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--archive", type=Path, default=ROOT / "data" / "sample" / "nuclei.zip")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--loop", type=Path, nargs=2, metavar=("SAMPLES", "OUT"), help="only run the plain loop")
    options = parser.parse_args()
    if options.loop:
        plain_loop(*options.loop)
        return
    with tempfile.TemporaryDirectory() as folder:
        compare_times(options.archive.resolve(), Path(folder), options.rounds)
        compare_memory(Path(folder) / "unzipped", Path(folder))


if __name__ == "__main__":
    main()
