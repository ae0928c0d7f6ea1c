"""Predict the subsets with a model, choose on validation, score on test."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

import keras
import numpy as np
from jaxtyping import Float32, Int64, Shaped, UInt8

from unetseg.dataset.samples import read_sample
from unetseg.dataset.subsets import Prediction, Subset, subset_rows
from unetseg.errors import InputError
from unetseg.evaluation.calibration import reliability
from unetseg.evaluation.summary import ImageScore, score_image, summarise
from unetseg.evaluation.tuning import best_separation, best_threshold, threshold_curve
from unetseg.files import write_csv
from unetseg.images.pictures import read_image
from unetseg.images.resampling import resize
from unetseg.parallel import in_parallel
from unetseg.prediction.forward import forward
from unetseg.progress import progress

BATCH = 8

Score = Callable[[np.ndarray], np.ndarray]  # images of one shape to their probabilities of foreground
Native = Callable[[UInt8[np.ndarray, "height width 3"]], Float32[np.ndarray, "height width"]]


class Evaluation(NamedTuple):
    """What is written of an evaluation: metrics/evaluate.json and the rows of three tables."""

    summary: dict[str, Any]
    per_image: list[dict[str, Any]]
    thresholds: list[dict[str, Any]]
    reliability: list[dict[str, Any]]


def predict_subset(model: keras.Model, arrays: Path, split: Path, *, name: str, out: Path, tta: bool) -> Subset:
    """Predict the samples of a subset into a folder; neither images nor probabilities are held in memory.

    Args:
        model: takes float32 (B, size, size, 3) in 0..255, gives probabilities (B, size, size, 1).
        arrays: the folder of images.npy, masks.npy, labels.npy and samples.csv.
        split: the table of id, subset and group.
        name: the subset.
        out: the folder to make, of probabilities.npy, float32 (subset, size, size), and ids.csv in the same order.
        tta: whether to average over the 8 flips and quarter turns.
    """
    rows = subset_rows(arrays / "samples.csv", split, name)
    images = np.load(arrays / "images.npy", mmap_mode="r")
    predicted = predict(model, images, np.array([row["index"] for row in rows], np.int64), BATCH, tta)
    return _keep(predicted, rows, arrays, name, out)


def predict_native_subset(
    native: Native, arrays: Path, samples: Path, split: Path, *, name: str, out: Path, natives: Path, tta: bool
) -> Subset:
    """Predict the samples of a subset at their own size, and keep that beside what it is at the arrays' size.

    Args:
        native: predicts an image of any size.
        arrays: see `predict_subset`.
        samples: the folder of the sample folders.
        split: see `predict_subset`.
        name: see `predict_subset`.
        out: see `predict_subset`.
        natives: the folder to make, of a .npy file of each sample's probability at its own size.
        tta: see `predict_subset`.
    """
    natives.mkdir()
    rows, size = subset_rows(arrays / "samples.csv", split, name), np.load(arrays / "masks.npy", mmap_mode="r").shape[1]

    def predict_image(row: dict[str, str]) -> Float32[np.ndarray, "size size"]:
        image = read_image(samples / row["image"])[None]
        probability = _average(lambda view: native(view[0])[None], image, tta)[0]
        np.save(natives / f"{row['id']}.npy", probability)
        return resize(probability, size, size)

    return replace(_keep(map(predict_image, rows), rows, arrays, name, out), natives=natives)


def _keep(
    predicted: Iterator[Float32[np.ndarray, "size size"]],
    rows: list[dict[str, str]],
    arrays: Path,
    name: str,
    out: Path,
) -> Subset:
    """Write the probabilities of a subset into a folder as they come."""
    out.mkdir()
    masks, labels = (np.load(arrays / f"{each}.npy", mmap_mode="r") for each in ("masks", "labels"))
    write_csv(out / "ids.csv", [{"index": place, "id": row["id"]} for place, row in enumerate(rows)], ("index", "id"))
    shape = (len(rows), *masks.shape[1:])
    probabilities = np.lib.format.open_memmap(out / "probabilities.npy", "w+", np.float32, shape)
    for place, probability in enumerate(progress(predicted, f"predict {name}", len(rows))):
        probabilities[place] = probability
    probabilities.flush()
    return Subset(name, rows, masks, labels, probabilities)


def predict(
    model: keras.Model,
    images: UInt8[np.ndarray, "all size size 3"],
    indices: Int64[np.ndarray, " subset"],
    batch_size: int,
    tta: bool,
) -> Iterator[Float32[np.ndarray, "size size"]]:
    """Predict images in batches and give each one's probability of foreground.

    Args:
        model: takes float32 (B, size, size, 3) in 0..255, gives probabilities (B, size, size, 1).
        images: RGB; may be memory-mapped.
        indices: which of them, in the order to give.
        batch_size: images that are predicted at once.
        tta: whether to average over the 8 flips and quarter turns.

    Raises:
        InputError: if the model predicts NaN.
    """
    for start in range(0, len(indices), batch_size):
        batch = images[indices[start : start + batch_size]].astype(np.float32)
        yield from _average(partial(forward, model), batch, tta)


def _average(
    score: Score, images: Shaped[np.ndarray, "b height width 3"], tta: bool
) -> Float32[np.ndarray, "b height width"]:
    """Predict images as they are, or average over the 8 flips and quarter turns."""
    views = [(turns, mirrored) for turns in range(4) for mirrored in (False, True)] if tta else [(0, False)]
    return np.asarray(sum(_predict_view(score, images, *view) for view in views) / np.float32(len(views)))


def _predict_view(
    score: Score, images: Shaped[np.ndarray, "b height width 3"], turns: int, mirrored: bool
) -> Float32[np.ndarray, "b height width"]:
    """Predict the images turned and mirrored, and turn what is predicted back."""
    turned = np.rot90(images, turns, axes=(1, 2))
    probability = score(np.ascontiguousarray(turned[:, :, ::-1] if mirrored else turned))
    return np.rot90(probability[:, :, ::-1] if mirrored else probability, -turns, axes=(1, 2))


def evaluate(
    test: Subset,
    validation: Subset,
    samples: Path,
    *,
    threshold: float | Literal["validation"],
    bootstrap: int,
    seed: int,
) -> Evaluation:
    """Score the test subset; whatever there is to choose is chosen on the validation subset.

    Args:
        test: what to score.
        validation: what chooses the separation of touching objects, and the threshold if asked to.
        samples: the folder of the sample folders, for the masks at their own size.
        threshold: probability from which a pixel is foreground; "validation": the one with the best mean Dice there.
        bootstrap: resamples for the 95 % intervals, over groups.
        seed: of the resampling.

    Raises:
        InputError: if the test subset is empty, or the validation subset is and has to choose the threshold.
    """
    if not len(test):
        raise InputError("the test subset holds no image: raise split.test")
    curves = [threshold_curve(subset) for subset in (validation, test)]
    limit = best_threshold(curves[0]) if threshold == "validation" else float(threshold)
    separation = best_separation(validation, limit)

    def score(image: Prediction) -> ImageScore:
        return score_image(image, read_sample(samples / image.row["id"]).labels > 0, limit, *separation)

    images = list(progress(in_parallel(score, test), "score test", len(test)))
    summary = {"threshold": limit} | summarise(images, bootstrap, seed)
    summary["objects"] |= separation._asdict()
    per_image = sorted((image.row for image in images), key=lambda row: (row["dice"], row["id"]))
    bins = reliability(np.sum([image.tally for image in images], axis=0))
    return Evaluation(summary, per_image, [*curves[0], *curves[1]], bins)
