"""Predict the subsets with a model, choose on validation, score on test."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Float32

from unetseg.dataset.samples import read_sample
from unetseg.dataset.subsets import Prediction, Subset, subset_rows
from unetseg.errors import InputError
from unetseg.evaluation.calibration import reliability
from unetseg.evaluation.estimate import calibrate
from unetseg.evaluation.scores import count, dice
from unetseg.evaluation.summary import ImageScore, score_image, summarise
from unetseg.evaluation.tuning import best_separation, best_threshold, threshold_curve
from unetseg.files import read_csv, write_csv
from unetseg.images.opening import read_image
from unetseg.images.resampling import resize
from unetseg.parallel import in_parallel
from unetseg.prediction.predictor import Predictor
from unetseg.prediction.quality import Estimate, expected_dice, overlap
from unetseg.progress import progress


class Evaluation(NamedTuple):
    """What is written of an evaluation: metrics/evaluate.json, the rows of three tables, the estimate of the Dice."""

    summary: dict[str, Any]
    per_image: list[dict[str, Any]]
    thresholds: list[dict[str, Any]]
    reliability: list[dict[str, Any]]
    estimate: Estimate


def predict_subset(predictor: Predictor, arrays: Path, samples: Path, split: Path, *, name: str, out: Path) -> Subset:
    """Predict the samples of a subset into a folder; neither images nor probabilities are held in memory.

    Args:
        predictor: if it predicts tiles, each sample is read and predicted at its own size; that probability is kept as
            <id>.npy in a folder beside `out`, and resized for it.
        arrays: the folder of images.npy, masks.npy, labels.npy and samples.csv.
        samples: the folder of the sample folders.
        split: the table of id, subset and group.
        name: the subset.
        out: the folder to make, of probabilities.npy, float32 (subset, size, size), and ids.csv in the same order.
    """
    rows = subset_rows(arrays / "samples.csv", split, name)
    images, masks, labels = (np.load(arrays / f"{each}.npy", mmap_mode="r") for each in ("images", "masks", "labels"))
    natives = out.with_name(f"native_{name}") if predictor.scale == "tiles" else None
    if natives:
        predicted = _predict_natives(predictor, samples, rows, natives, masks.shape[1])
    else:
        predicted = predictor.fitted(images[int(row["index"])] for row in rows)
    out.mkdir()
    write_csv(out / "ids.csv", [{"index": place, "id": row["id"]} for place, row in enumerate(rows)], ("index", "id"))
    shape = (len(rows), *masks.shape[1:])
    probabilities = np.lib.format.open_memmap(out / "probabilities.npy", "w+", np.float32, shape)
    for place, probability in enumerate(progress(predicted, f"predict {name}", len(rows))):
        probabilities[place] = probability
    probabilities.flush()
    return Subset(name, rows, masks, labels, probabilities, natives)


def _predict_natives(
    predictor: Predictor, samples: Path, rows: list[dict[str, str]], natives: Path, size: int
) -> Iterator[Float32[np.ndarray, "size size"]]:
    natives.mkdir()
    images = (read_image(samples / row["image"]) for row in rows)
    for row, probability in zip(rows, predictor.images(images), strict=True):
        np.save(natives / f"{row['id']}.npy", probability)
        yield resize(probability, size, size)


def trained_sizes(samples: Path, predictor: Predictor) -> dict[str, Any]:
    """Give the least and the greatest height or width of the samples, and the zoom at which the model saw most of them.

    Args:
        samples: samples.csv.
        predictor: of the model.
    """
    sides = np.array([(int(row["height"]), int(row["width"])) for row in read_csv(samples)])
    fitted = float(np.median(predictor.size / np.sqrt(sides.prod(axis=1))))
    zoom = round(fitted, 4) if predictor.scale == "resize" else 1.0
    return {"sizes": (int(sides.min()), int(sides.max())), "zoom": zoom}


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

    expected = [expected_dice(overlap(image.probability, limit)) for image in validation]
    true = [float(dice(count(image.mask, image.probability >= np.float32(limit)))) for image in validation]
    estimate = calibrate(expected, true)

    def score(image: Prediction) -> ImageScore:
        return score_image(image, read_sample(samples / image.row["id"]).labels > 0, limit, *separation, estimate)

    images = list(progress(in_parallel(score, test), "score test", len(test)))
    summary = {"threshold": limit} | summarise(images, bootstrap, seed)
    summary["objects"] |= separation._asdict()
    per_image = sorted((image.row for image in images), key=lambda row: (row["dice"], row["id"]))
    bins = reliability(np.sum([image.tally for image in images], axis=0))
    return Evaluation(summary, per_image, [*curves[0], *curves[1]], bins, estimate)
