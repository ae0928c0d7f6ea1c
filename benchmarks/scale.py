"""Measure CPU time and peak memory of each stage against the number of images; draw both.

    python benchmarks/scale.py --images 2000 20000 --folder /tmp/scale --out metrics/scale

The images are synthetic, 256×256, with one mask file each. The network is tiny and trains for one epoch on crops of
64 pixels: its own time and memory do not depend on the number of images. CPU seconds, of a stage with all its
processes, hold on a busy computer too. Memory is what the kernel cannot take back (RssAnon): pages of memory-mapped
arrays are its cache. 20,000 images take about 15 GB and 15 CPU minutes; each archive and its arrays are removed after
its run.
"""

import argparse
import contextlib
import os
import shutil
import sys
import time
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import psutil
from dvc.repo import Repo
from dvc.utils.serialize import modify_yaml
from matplotlib.figure import Figure

from unetseg.files import write_csv
from unetseg.synthetic.sample import Slide, make_tiles

ROOT = Path(__file__).resolve().parents[1]
SIZE = 256
PAINTED = 60  # distinct images; the others are these, shifted round, turned, and with noise of their own
TINY = {
    "image": {"size": SIZE},
    "model": {"base_filters": 2, "max_filters": 4, "depth": 1},
    "train": {"epochs": 1, "batch_size": 8, "crop": 64, "crop_epochs": 1},
}
STAGES = ("unzip", "preprocess", "split", "train", "evaluate", "plot")


def write_archive(path: Path, count: int) -> None:
    """Write an archive of `count` images, each with one mask file."""
    kinds = [Slide(kind, 1, 1, SIZE, SIZE, 20, 3) for kind in ("fluorescence", "tissue") for _ in range(PAINTED // 2)]
    tiles = list(make_tiles(kinds))
    fast = [cv2.IMWRITE_PNG_COMPRESSION, 1]
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(count):
            rng = np.random.default_rng(number)
            tile = tiles[rng.integers(len(tiles))]
            shift, turns = tuple(rng.integers(0, SIZE, 2)), int(rng.integers(4))
            image, labels = (np.rot90(np.roll(part, shift, (0, 1)), turns) for part in (tile.image, tile.labels))
            noise = rng.integers(0, 8, image.shape, np.uint8)
            pictures = {"images": cv2.add(np.ascontiguousarray(image), noise), "masks": (labels > 0) * np.uint8(255)}
            for folder, picture in pictures.items():
                archive.writestr(
                    f"{number:06d}/{folder}/{number}.png", cv2.imencode(".png", picture, fast)[1].tobytes()
                )


def run(folder: Path, stage: str, command: str) -> dict[str, float]:
    """Run a stage's command; give its CPU seconds, seconds and peak memory, with those of its processes."""
    cpu: dict[int, float] = {}
    started, peak = time.monotonic(), 0.0
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    words = [sys.executable, *command.split()[1:]]
    with (folder / f"{stage}.log").open("w") as log:
        process = psutil.Popen(words, cwd=folder, env=environment, stdout=log, stderr=log)
        looked, family = 0.0, [process]
        while process.poll() is None:
            with contextlib.suppress(psutil.Error, OSError, ProcessLookupError):  # of one that ends just now
                if time.monotonic() > looked + 0.1:  # to look for new processes takes long
                    looked, family = time.monotonic(), [process, *process.children(recursive=True)]
                    for each in family:
                        used = each.cpu_times()
                        cpu[each.pid] = used.user + used.system
                peak = max(peak, sum(_anonymous(each.pid) for each in family) / 1e6)
            time.sleep(0.002)  # a peak may be as short
    if process.returncode:
        raise SystemExit(f"{stage} failed:\n{(folder / f'{stage}.log').read_text()[-2000:]}")
    return {"cpu_seconds": sum(cpu.values()), "seconds": time.monotonic() - started, "peak_mb": peak}


def _anonymous(pid: int) -> int:
    """Give the bytes of a process that are not pages of files."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(status.split("RssAnon:")[1].split()[0]) * 1024 if "RssAnon:" in status else 0


def measure(count: int, folder: Path, stages: Sequence[str]) -> list[dict[str, Any]]:
    """Run the stages on an archive of `count` images in an empty folder, and remove it."""
    commands = {stage.name: stage.cmd for stage in Repo(ROOT).index.stages}
    folder.mkdir(parents=True)
    write_archive(folder / "images.zip", count)
    shutil.copy(ROOT / "params.yaml", folder)
    shutil.copytree(ROOT / "stages", folder / "stages")
    (folder / "data").mkdir()
    shutil.copy(ROOT / "data" / "groups.csv", folder / "data")
    with modify_yaml(folder / "params.yaml") as params:
        for section, values in TINY.items():
            params[section].update(values)
        params["data"]["archive"] = "images.zip"
        params["evaluate"]["external"] = str(ROOT / "data" / "sample" / "none.zip")
    rows = []
    for stage in stages:
        measured = run(folder, stage, commands[stage])
        rows.append({"images": count, "stage": stage, **{name: round(value, 2) for name, value in measured.items()}})
        print(", ".join(f"{name} {value}" for name, value in rows[-1].items()), flush=True)
    if (page := folder / "metrics" / "report.html").exists():
        print(f"report page: {page.stat().st_size / 1e6:.1f} MB")
    shutil.rmtree(folder)
    return rows


def draw(rows: list[dict[str, Any]], path: Path) -> None:
    """Draw CPU milliseconds per image and peak memory of each stage against the number of images."""
    measures = {
        "CPU ms per image": lambda row: 1000 * row["cpu_seconds"] / row["images"],
        "peak memory in MB": lambda row: row["peak_mb"],
    }
    figure = Figure((9, 4), layout="constrained")
    for axes, (label, value) in zip(figure.subplots(1, 2), measures.items(), strict=True):
        for stage in dict.fromkeys(row["stage"] for row in rows):
            own = [row for row in rows if row["stage"] == stage]
            axes.plot([row["images"] for row in own], [value(row) for row in own], "o-", label=stage)
        axes.set(xlabel="images", ylabel=label, xscale="log", ylim=(0, None))
    figure.axes[0].legend()
    figure.savefig(path, dpi=100)


def main() -> None:
    """Measure each number of images in turn, and write the table and the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, nargs="+", default=[2000, 20000])
    parser.add_argument("--until", choices=STAGES, default=STAGES[-1], help="the last stage to run")
    parser.add_argument("--folder", type=Path, required=True, help="scratch; must not exist")
    parser.add_argument("--out", type=Path, default=ROOT / "metrics" / "scale")
    options = parser.parse_args()
    stages = STAGES[: STAGES.index(options.until) + 1]
    rows = [row for count in options.images for row in measure(count, options.folder, stages)]
    options.out.mkdir(parents=True, exist_ok=True)
    write_csv(options.out / "scale.csv", rows, list(rows[0]))
    draw(rows, options.out / "scale.png")


if __name__ == "__main__":
    main()
