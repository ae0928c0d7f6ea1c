"""Time unzip, preprocess and split under dvc against a plain loop over the same files; look whether memory grows.

    python benchmarks/preprocess.py --archive ../shared/data/stage1_train.zip

The loop is what one writes first: one thread that reads each file with OpenCV, merges the masks, resizes and saves. It
starts from extracted files, checks nothing and makes no label maps. Both take turns. The clone has what is committed.
Remove no files in the five minutes before: ext4 steps over each inode that was freed lately, so that to write 30,000
files takes up to ten seconds longer; or set TMPDIR to a RAM disk, such as /dev/shm.
"""

import argparse
import contextlib
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
import psutil

from unetseg.files import write_csv

ROOT = Path(__file__).resolve().parents[1]
SIZE = 256  # image.size in params.yaml
COPIES = 5


def plain_loop(samples: Path, out: Path) -> None:
    """Read, merge and resize every sample and save two arrays."""
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
    """Run a Python script in a process of its own; give the seconds and, with its children, the peak memory in MiB."""
    started, peak = time.monotonic(), 0.0
    process = psutil.Popen([sys.executable, *command], cwd=ROOT, stderr=subprocess.DEVNULL)
    while process.poll() is None:
        with contextlib.suppress(psutil.Error):  # of one that ends just now
            tree = [process, *process.children(recursive=True)]
            peak = max(peak, sum(each.memory_info().rss for each in tree) / 2**20)
        time.sleep(0.1)
    if process.returncode:
        raise SystemExit(f"{' '.join(map(str, command))} failed")
    return time.monotonic() - started, peak


def preprocess(samples: Path, folder: Path) -> float:
    """Run the stage; give its peak memory."""
    rows = [
        {"path": path.relative_to(samples).as_posix(), "bytes": path.stat().st_size}
        for path in sorted(samples.glob("*/*/*"))
    ]
    write_csv(folder / "listing.csv", rows, ["path", "bytes"])
    outputs = "--listing", folder / "listing.csv", "--out", folder / "arrays", "--report", folder / "preprocess.json"
    return run("stages/preprocess.py", "--samples", samples, *outputs)[1]


def repro(archive: Path, folder: Path) -> float:
    """Run `dvc repro split` in a new clone with an empty cache; give its seconds, and leave what it made."""
    subprocess.run(["git", "clone", "--quiet", ROOT, folder], check=True)
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": f"{folder}/src",
        "DVC_SITE_CACHE_DIR": f"{folder}/.dvc/site",
    }
    params = folder / "params.yaml"
    params.write_text(re.sub("(?m)^  archive: .*", f"  archive: {archive}", params.read_text()))
    os.sync()  # what was written before is not its work
    started = time.monotonic()
    command = [sys.executable, "-m", "dvc", "repro", "--quiet", "split"]
    subprocess.run(command, cwd=folder, env=environment, stderr=subprocess.DEVNULL, check=True)
    return time.monotonic() - started


def compare_times(archive: Path, folder: Path, rounds: int) -> None:
    """Print what `dvc repro split` and the loop take, in turns, and the ratio of the medians."""
    times: dict[str, list[float]] = {"dvc repro split": [], "plain loop": []}
    for _ in range(rounds):
        clone = folder / f"clone{len(times['plain loop'])}"  # a new one: to remove 30,000 files is work for a while
        times["dvc repro split"].append(repro(archive, clone))
        samples = clone / "data" / "unzipped"
        times["plain loop"].append(run(Path(__file__).resolve(), "--loop", samples, folder)[0])
    for name, seconds in times.items():
        print(f"{name}: {', '.join(f'{each:.1f}' for each in seconds)} s")
    stages, loop = map(statistics.median, times.values())
    print(f"the three stages under dvc take {stages / loop:.2f} times as long as the plain loop")


def compare_memory(samples: Path, folder: Path) -> None:
    """Print the peak memory of preprocess on the samples and on the same ones several times over."""
    again = folder / "again"
    again.mkdir()
    for sample in samples.iterdir():
        for copy in range(COPIES):
            shutil.copytree(sample, again / f"{sample.name}-{copy}", copy_function=os.link)
    once, often = preprocess(samples, folder), preprocess(again, folder)
    print(f"peak memory: {once:.0f} MiB; on {COPIES} times as many samples {often:.0f} MiB, {often / once - 1:+.1%}")


def main() -> None:
    """Run both comparisons in a temporary folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--archive", type=Path, default=ROOT / "data" / "sample" / "nuclei.zip")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--no-memory", action="store_true", help="only compare times")
    parser.add_argument("--loop", type=Path, nargs=2, metavar=("SAMPLES", "OUT"), help="only run the plain loop")
    options = parser.parse_args()
    if options.loop:
        plain_loop(*options.loop)
        return
    with tempfile.TemporaryDirectory() as folder:
        compare_times(options.archive.resolve(), Path(folder), options.rounds)
        if not options.no_memory:
            compare_memory(Path(folder) / "clone0" / "data" / "unzipped", Path(folder))


if __name__ == "__main__":
    main()
