"""Measure the search for fields and the split: time and memory with many images, evenness beside scikit-learn's.

    python benchmarks/fields.py --images 20000
    python benchmarks/fields.py --arrays data/arrays

Compare two lines of one run only: other work on the machine changes both.
"""

import argparse
import resource
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np
from sklearn.model_selection import StratifiedGroupKFold

from unetseg.files import read_csv
from unetseg.images.fingerprint import FINGERPRINT, fingerprint
from unetseg.splitting.groups import connected
from unetseg.splitting.relatives import find_duplicates, find_neighbours, find_relatives
from unetseg.splitting.splits import grouped_split, stratum

Result = TypeVar("Result")
SIZE = 256
TRIES = 20


def paint_tiles(count: int) -> Iterator[np.ndarray]:
    """Paint fields of smooth structure and noise, and cut each into four tiles."""
    for field in range(-(-count // 4)):
        random = np.random.default_rng(field)
        coarse = cv2.resize(random.normal(size=(64, 64)).astype(np.float32), (2 * SIZE, 2 * SIZE))
        fine = cv2.resize(random.normal(size=(256, 256)).astype(np.float32), (2 * SIZE, 2 * SIZE))
        noise = random.integers(-2, 3, coarse.shape, np.int8)
        painted = np.clip(40 + 25 * coarse + 8 * fine + noise, 0, 255).astype(np.uint8)[..., None]
        yield from (painted[row : row + SIZE, column : column + SIZE] for row in (0, SIZE) for column in (0, SIZE))


def timed(title: str, work: Callable[[], Result]) -> Result:
    """Do the work and print how long it took and the highest memory so far."""
    started, used = time.perf_counter(), time.process_time()
    result = work()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    seconds, processor = time.perf_counter() - started, time.process_time() - used
    print(f"{title:<28} {seconds:8.1f} s {processor:8.1f} CPU s, peak {peak:6.0f} MiB", flush=True)
    return result


def measure_search(count: int) -> None:
    """Find the neighbours and copies among synthetic tiles, of which the truth is known."""
    described = timed(
        f"paint and describe {count}", lambda: np.array([fingerprint(tile) for tile in paint_tiles(count)], FINGERPRINT)
    )
    found = timed("neighbours and control", lambda: find_neighbours(described, range(len(described))))
    copies = timed("copies", lambda: find_duplicates(described))
    right = sum(first // 4 == second // 4 for first, second in found.pairs)
    print(
        f"{right} of {count} pairs right, {len(found.pairs) - right} wrong, "
        f"control {found.control}, copies {len(copies)}"
    )
    ids = [str(number) for number in range(count)]
    groups = connected(ids, [(str(first), str(second)) for first, second in found.pairs])
    kinds = np.random.default_rng(0).choice(["a", "b", "c"], count, p=[0.8, 0.17, 0.03])
    strata = {name: str(kinds[int(groups[name])]) for name in ids}
    subsets = timed("split", lambda: grouped_split(groups, strata, validation=0.15, test=0.15, seed=0))
    print(
        "deviation", {subset: round(deviation(subsets, strata, subset, 0.15), 2) for subset in ("validation", "test")}
    )


def deviation(subsets: Mapping[str, str], strata: Mapping[str, str], subset: str, share: float) -> float:
    """Measure how uneven a subset is: chi-square of its kinds against their shares."""
    kinds, numbers = np.unique(list(strata.values()), return_inverse=True)
    inside = np.array([subsets[name] == subset for name in strata])
    wanted = share * np.bincount(numbers)
    return float(((np.bincount(numbers[inside], minlength=len(kinds)) - wanted) ** 2 / wanted).sum())


def with_scikit_learn(groups: Mapping[str, str], strata: Mapping[str, str], seed: int) -> dict[str, str]:
    """Take 3 of 20 parts of StratifiedGroupKFold for test and 3 for validation, the most even of some shuffles."""
    ids = sorted(groups)
    choices = []
    for shuffle in range(TRIES):
        splitter = StratifiedGroupKFold(20, shuffle=True, random_state=TRIES * seed + shuffle)
        parts = splitter.split(ids, [strata[name] for name in ids], [groups[name] for name in ids])
        names = ["test"] * 3 + ["validation"] * 3 + ["train"] * 14
        choices.append({ids[n]: name for name, (_, inside) in zip(names, parts, strict=True) for n in inside})
    return min(choices, key=lambda found: sum(deviation(found, strata, s, 0.15) for s in ("validation", "test")))


def measure_split(arrays: Path) -> None:
    """Split real images evenly, by this project's way and by scikit-learn's."""
    rows = read_csv(arrays / "samples.csv")
    ids, fingerprints = [row["id"] for row in rows], np.load(arrays / "fingerprints.npy", mmap_mode="r")
    relatives = timed("find", lambda: find_relatives(ids, fingerprints))
    print(f"{relatives.images_with_neighbour} of {len(rows)} images have a neighbour, control {relatives.control}")
    groups = connected(ids, relatives.pairs)
    strata = {row["id"]: stratum(row["modality"], int(row["height"]), int(row["width"])) for row in rows}
    for seed in range(3):
        ours = timed("split", lambda: grouped_split(groups, strata, validation=0.15, test=0.15, seed=seed))  # noqa: B023 - called at once
        theirs = timed("scikit-learn", lambda: with_scikit_learn(groups, strata, seed))  # noqa: B023 - called at once
        for name, subsets in (("this project", ours), ("scikit-learn", theirs)):
            counts = {
                subset: (
                    sum(value == subset for value in subsets.values()),
                    round(deviation(subsets, strata, subset, 0.15), 2),
                )
                for subset in ("validation", "test")
            }
            print(f"  seed {seed}, {name}: images and deviation {counts}")


if __name__ == "__main__":
    warnings.filterwarnings("ignore", message="The least populated class")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=0, help="search so many synthetic tiles")
    parser.add_argument("--arrays", type=Path, help="the folder of arrays that preprocess wrote")
    options = parser.parse_args()
    if options.images:
        measure_search(options.images)
    if options.arrays:
        measure_split(options.arrays)
