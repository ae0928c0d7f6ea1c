"""Measure `unetseg predict --dask local:2` beside one process: its rate for a folder, its memory for one large image.

    python benchmarks/dask_predict.py folder IMAGES                       images/s, of 2 workers and of 1 core
    python benchmarks/dask_predict.py large --height 4000 IMAGES          a mosaic 20,000 wide, equal to one process?

IMAGES is a folder of images. Compare figures of one run only: other work on the machine changes all of them.
"""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

import psutil
from predict import write_mosaic

from unetseg.files import sha256

SKIPPED = 32  # images, until all processes have started


def predict(out: Path, *words: str, core: bool = False) -> float:
    """Run the command, if asked for on one core, and give the most memory of one of its processes, in MB."""
    pin = ["taskset", "-c", "0"] if core else []
    threads = {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1", "OPENCV_FOR_THREADS_NUM": "1"}
    command = [*pin, sys.executable, "-m", "unetseg.cli", "predict", "--out", str(out), *words]
    most, process = 0, psutil.Popen(command, env=os.environ | (threads if core else {}))
    while process.poll() is None:
        for each in [process, *process.children(recursive=True)]:
            most = max(most, each.memory_info().rss if each.is_running() else 0)
        time.sleep(0.2)
    if process.returncode:
        raise SystemExit(process.returncode)
    return most / 1e6


def rate(out: Path) -> float:
    """Give the images/s of a run, from when the files were written."""
    times = sorted(path.stat().st_mtime for path in out.rglob("*.jsonl"))[SKIPPED:]
    return (len(times) - 1) / (times[-1] - times[0])


def measure_folder(options: argparse.Namespace, folder: Path) -> None:
    """Alternate between one process on one core and two workers with a thread each."""
    for turn in range(options.rounds):
        one, two = folder / f"one{turn}", folder / f"two{turn}"
        predict(one, *options.words, str(options.images), core=True)
        predict(two, *options.words, "--dask", "local:2", str(options.images))
        slow, fast = rate(one), rate(two)
        print(f"1 core {slow:.2f}/s, 2 workers {fast:.2f}/s: {fast / slow:.2f} times; {alike(one, two)}")


def measure_large(options: argparse.Namespace, folder: Path) -> None:
    """Predict a mosaic by two workers, and by one process."""
    write_mosaic(folder / "mosaic.tif", options.images, 20_000, options.height)
    for name, words in {"two": ("--dask", "local:2"), "one": ()}.items():
        started = time.perf_counter()
        peak = predict(folder / name, *options.words, *words, str(folder / "mosaic.tif"))
        print(f"{name}: {peak:.0f} MB at most in one process, {time.perf_counter() - started:.0f} s")
    print(alike(folder / "one", folder / "two"))


def alike(one: Path, two: Path) -> str:
    """Tell whether two runs wrote the same."""
    seals = {path.relative_to(one) for path in one.rglob("*") if path.is_file() and path.name != "lock"}
    differ = [str(path) for path in sorted(seals) if sha256(one / path) != sha256(two / path)]
    return f"{len(seals)} files, {len(differ)} differ{': ' * bool(differ)}{' '.join(differ[:5])}"


def main() -> None:
    """Run one of the measurements."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("figure", choices=("folder", "large"))
    parser.add_argument("--height", type=int, default=20_000, help="of the mosaic")
    parser.add_argument("--rounds", type=int, default=1, help="of the folder")
    parser.add_argument("images", type=Path)
    parser.add_argument("words", nargs="*", help="more options of `unetseg predict`, after --")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        {"folder": measure_folder, "large": measure_large}[options.figure](options, Path(folder))


if __name__ == "__main__":
    main()
