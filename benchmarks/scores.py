"""Time every score of an image: 256×256 pixels, about 300 objects; prints the median of each in milliseconds.

Run with `python benchmarks/scores.py`; the limit for each function of `scores` and `matching` is 5 ms.
"""

import statistics
import time
from collections.abc import Callable

import numpy as np

from unetseg.evaluation import calibration, matching, scores
from unetseg.evaluation.evaluation import THRESHOLDS
from unetseg.objects import separation as objects

SIZE, OBJECTS, REPEATS = 256, 300, 30


def make_image() -> tuple[np.ndarray, np.ndarray]:
    """Draw disks on a jittered grid, so that nearly all of them stay apart or just touch."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:SIZE, :SIZE]
    labels = np.zeros((SIZE, SIZE), np.uint16)
    step = SIZE / np.ceil(np.sqrt(OBJECTS))
    for number in range(OBJECTS):
        centre = np.array(divmod(number, int(SIZE // step))) * step + step / 2 + rng.uniform(-2, 2, 2)
        labels[np.hypot(rows - centre[0], columns - centre[1]) <= rng.uniform(5, 8)] = number + 1
    probability = np.clip((labels > 0) * 0.7 + rng.uniform(0, 0.3, labels.shape), 0, 1).astype(np.float32)
    return labels, probability


def main() -> None:
    """Time each function and print its median."""
    labels, probability = make_image()
    truth, predicted = labels > 0, np.roll(probability >= 0.6, 1, axis=0)
    found = np.roll(objects.connected_objects(probability, 0.6, 1), 1, axis=0)
    separated = np.roll(labels, 1, axis=0).astype(np.int32)
    counts, matched = scores.count(truth, predicted), matching.match(labels, separated)
    many = scores.stack([counts] * 300)
    thresholds, tallied = np.array(THRESHOLDS, np.float32), calibration.tally(truth, probability)
    cases = {
        "scores.count": lambda: scores.count(truth, predicted),
        "scores.count_at, 99 thresholds": lambda: scores.count_at(truth, probability, thresholds),
        "scores.stack, 300 masks": lambda: scores.stack([counts] * 300),
        "scores.pool, 300 masks": lambda: scores.pool(many),
        **{f"scores.{f.__name__}": lambda f=f: f(counts) for f in (scores.dice, scores.iou)},
        **{f"scores.{f.__name__}": lambda f=f: f(counts) for f in (scores.precision, scores.recall)},
        "scores.boundary_f1": lambda: scores.boundary_f1(truth, predicted),
        "matching.match": lambda: matching.match(labels, separated),
        "matching.f1": lambda: matching.f1(matched, 0.5),
        "matching.mean_average_precision": lambda: matching.mean_average_precision(matched),
        "matching.panoptic_quality": lambda: matching.panoptic_quality(matched),
        "calibration.tally": lambda: calibration.tally(truth, probability),
        "calibration.expected_calibration_error": lambda: calibration.expected_calibration_error(tallied),
        "objects.connected_objects": lambda: objects.connected_objects(probability, 0.6, 1),
        "objects.separated_objects (no score)": lambda: objects.separated_objects(probability, 0.6, 1.0, 8),
    }
    print(f"{matched.true} true objects, {found.max()} connected, foreground {truth.mean():.0%}")
    for name, call in cases.items():
        print(f"{median_milliseconds(call):8.3f} ms  {name}")


def median_milliseconds(call: Callable[[], object]) -> float:
    """Call a function repeatedly and give the median of its times."""
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return 1000 * statistics.median(times)


if __name__ == "__main__":
    main()
