"""Predict the subsets with a model, choose on validation, score on test.

Threshold and separation are never chosen on the test subset.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from functools import cache
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Float32, UInt8

from unetseg.dataset.arrays import growing
from unetseg.dataset.problems import attempt
from unetseg.dataset.subsets import Truth, subset_rows
from unetseg.dataset.tiles import whole
from unetseg.errors import InputError
from unetseg.evaluation import scores
from unetseg.evaluation.calibration import calibrate, reliability
from unetseg.evaluation.matching import match, mean_average_precision
from unetseg.evaluation.predicted import Natives, PredictedImage, PredictedSubset
from unetseg.evaluation.summary import PIXEL_SCORES, ImageScore, score_image, summarise
from unetseg.files import write_csv
from unetseg.images.intensity import polarity
from unetseg.images.resampling import resize
from unetseg.objects.separation import separated_objects, without_small
from unetseg.parallel import in_parallel
from unetseg.prediction.plan import in_memory
from unetseg.prediction.predictor import Predictor
from unetseg.prediction.quality import stability, steadiness
from unetseg.prediction.settings import Settings, Trained, Tuning
from unetseg.prediction.zoom import Zooming, fitted_zoom, predict_zoomed
from unetseg.progress import progress

THRESHOLDS = tuple(step / 100 for step in range(1, 100))


class Separation(NamedTuple):
    """The parameters of `separated_objects`, in pixels that the model sees."""

    depth: float
    min_size: int


# the first of each wins among equals, and serves where there is nothing to choose on
DEPTHS, MIN_SIZES = (1.0, 0.75, 1.5, 2.0, 3.0), (8, 1, 16)
SEPARATIONS = tuple(Separation(depth, size) for depth in DEPTHS for size in MIN_SIZES)


class Evaluation(NamedTuple):
    """What is written of an evaluation: metrics/evaluate.json and the rows of three tables."""

    summary: dict[str, Any]
    per_image: list[dict[str, Any]]
    thresholds: list[dict[str, Any]]
    reliability: list[dict[str, Any]]


def predict_subset(
    predictor: Predictor,
    arrays: Path,
    split: Path,
    *,
    name: str,
    out: Path,
    natives: Path | None = None,
    zooming: Zooming | None = None,
) -> PredictedSubset:
    """Predict the samples of a subset into a folder; neither images nor probabilities are held in memory.

    Args:
        predictor: how.
        arrays: what `unetseg.dataset.arrays.write_arrays` wrote; with the tiles to predict samples at their own size.
        split: the table of id, subset and group.
        name: the subset.
        out: the folder to make, of probabilities.npy, float32 (subset, size, size), and ids.csv in the same order.
        natives: a folder to make, with `zooming`, of the probabilities at the samples' own sizes, as <index>.npy.
        zooming: with it each sample is predicted at its own size, as `unetseg predict` would, and resized for `out`.

    Raises:
        InputError: with a line for each sample whose pixels have a size that cannot be.
    """
    rows = subset_rows(arrays / "samples.csv", split, name)
    if zooming and (wrong := wrong_pixels(rows, predictor.size, zooming)):
        lines = [f"{row['image']}: {wrong[row['id']]}" for row in rows if row["id"] in wrong]
        raise InputError(*lines, "with image.pixel_size: 0, what files say of their pixels does not count")
    images, masks, labels = (np.load(arrays / f"{each}.npy", mmap_mode="r") for each in ("images", "masks", "labels"))
    if natives and zooming:
        predicted = _predict_natives(predictor, zooming, arrays, rows, natives, masks.shape[1])
    else:
        predicted = ((1.0, each) for each in predictor.fitted(images[int(row["index"])] for row in rows))
    zooms = []
    out.mkdir(parents=True)
    write_csv(out / "ids.csv", [{"index": place, "id": row["id"]} for place, row in enumerate(rows)], ("index", "id"))
    with growing(out / "probabilities.npy", np.float32, masks.shape[1:]) as add:
        for zoom, probability in progress(predicted, f"predict {name}", len(rows)):
            zooms.append(zoom)
            add(probability)
    probabilities = np.load(out / "probabilities.npy", mmap_mode="r")
    own = Natives(natives, zooms, whole(arrays, "tile_labels")) if natives else None
    return PredictedSubset(name, rows, masks, labels, probabilities, own, out)


def _predict_natives(
    predictor: Predictor, zooming: Zooming, arrays: Path, rows: list[dict[str, str]], natives: Path, size: int
) -> Iterator[tuple[float, Float32[np.ndarray, "size size"]]]:
    """Give the zoom of each image, and its probability at the arrays' size."""
    natives.mkdir(parents=True)
    image = whole(arrays, "tiles")
    predicted = predict_zoomed(predictor, zooming, (in_memory(image(row), pixel_of(row)) for row in rows))
    for row, (zoom, probability) in zip(rows, predicted, strict=True):
        with growing(natives / f"{row['index']}.npy", np.float32, probability.shape[1:]) as add:
            add(probability)
        yield zoom, resize(probability, size, size)


def pixel_of(row: Mapping[str, str]) -> tuple[float, float] | None:
    """Read from a row of samples.csv the height and width of the image's pixels in µm; None if they are not known."""
    return (float(row["pixel_size"]),) * 2 if row["pixel_size"] else None


def wrong_pixels(rows: Sequence[Mapping[str, str]], size: int, zooming: Zooming) -> dict[str, str]:
    """Find the images whose files state a size of pixels that cannot be, and what is wrong with each."""
    sides = ((int(row["height"]), int(row["width"]), pixel_of(row)) for row in rows)
    problems = [attempt(zooming.fits, size, *each)[1] for each in sides]
    return {row["id"]: line for row, lines in zip(rows, problems, strict=True) for line in lines}


def trained_sizes(samples: Path, split: Path, predictor: Predictor) -> dict[str, Any]:
    """Find the least and greatest height or width of the images that a model was trained on, and their median zoom.

    `samples` and `split` are samples.csv and split.csv, of which the subsets train and validation count.
    """
    rows = [row for name in ("train", "validation") for row in subset_rows(samples, split, name)]
    sides = [int(row[name]) for row in rows for name in ("height", "width")]
    zoom = round(_arrays_zoom(rows, predictor.size), 4) if predictor.scale == "resize" else 1.0
    return {"sizes": (min(sides), max(sides)), "zoom": zoom}


def _arrays_zoom(rows: Iterable[Mapping[str, str]], size: int) -> float:
    """Find at which zoom images are in arrays of a size, in the median."""
    return float(np.median([fitted_zoom(size, int(row["height"]), int(row["width"])) for row in rows]))


def choose(
    validation: PredictedSubset, truth: Truth, threshold: float | Literal["validation"]
) -> tuple[Tuning, list[dict[str, Any]]]:
    """Choose the separation of touching objects on the validation subset, and the threshold if asked to.

    The estimated Dice is calibrated at the size at which the model predicts; for that, `truth` holds the masks at their
    own size.

    Returns:
        The values, and the scores at each threshold.

    Raises:
        InputError: if the subset is empty and has to choose the threshold.
    """
    curve = threshold_curve(validation)
    limit = best_threshold(curve) if threshold == "validation" else float(threshold)
    separation = best_separation(validation, limit)
    stable, true = [], []
    for image in validation:
        probability = image.at_own_size
        predicted = probability >= np.float32(limit)
        if predicted.any():
            stable.append(stability(steadiness(probability, limit)))
            true.append(float(scores.dice(scores.count(truth[int(image.row["index"])], predicted))))
    scale: Trained = "tiles" if validation.natives else "resize"
    estimate = calibrate(stable, true)
    return Tuning(threshold=limit, **separation._asdict(), scale=scale, estimate=estimate), curve


def taken_for_negatives(subset: PredictedSubset, images: UInt8[np.ndarray, "all size size 3"]) -> list[str]:
    """Name the images of which a model marks what is bright where the objects are dark, or the other way round.

    It took them for their negatives, see `unetseg.model.assembly.assemble`. Where its Dice is 0.5 or more, it did not:
    objects may be hardly brighter or darker than the rest.
    """
    named = []
    for image in subset:
        pixels, predicted = images[int(image.row["index"])], image.probability >= 0.5
        turned = predicted.any() and polarity(pixels, predicted.view(np.uint8)) != polarity(
            pixels, image.mask.view(np.uint8)
        )
        if turned and scores.dice(scores.count(image.mask, predicted)) < 0.5:
            named.append(image.row["id"])
    return named


def threshold_curve(subset: PredictedSubset) -> list[dict[str, Any]]:
    """Compute the mean scores over the images at each threshold 0.01, 0.02, … 0.99, at the size that is predicted.

    Returns:
        Rows of subset, threshold, dice, iou, precision and recall; none for an empty subset.
    """
    if not len(subset):
        return []
    steps = np.array(THRESHOLDS, np.float32)
    counts = scores.stack([scores.count_at(image.labels > 0, image.seen, steps) for image in subset])
    columns = [each(counts).mean(axis=0).tolist() for each in PIXEL_SCORES]
    names = ("subset", "threshold", *(each.__name__ for each in PIXEL_SCORES))
    return [dict(zip(names, (subset.name, *values), strict=True)) for values in zip(THRESHOLDS, *columns, strict=True)]


def best_threshold(curve: list[dict[str, Any]]) -> float:
    """Find the threshold with the best mean Dice, and of ties the one nearest to 0.5.

    Raises:
        InputError: if the curve is that of an empty subset.
    """
    if not curve:
        raise InputError("evaluate.threshold: validation: there is no validation image to choose it on; give a number")
    best = max(curve, key=lambda row: (row["dice"], -abs(row["threshold"] - 0.5)))
    return float(best["threshold"])


def best_separation(subset: PredictedSubset, threshold: float) -> Separation:
    """Find the separation of touching objects with the best mean average precision over the images.

    It is tried in the model's pixels; where it sees images at their own size, also in as many of them as lie along an
    array's pixel, in the median: larger images tend to show larger objects.
    """
    if not len(subset):
        return SEPARATIONS[0]
    unit = 1 / _arrays_zoom(subset.rows, subset.masks.shape[1]) if subset.natives else 1.0
    larger = (Separation(depth * unit, max(1, round(size * unit**2))) for depth, size in SEPARATIONS)
    tried = list(dict.fromkeys([*SEPARATIONS, *larger]))
    scored = in_parallel(lambda image: _score_separations(image, threshold, tried), subset)
    means = np.mean(list(progress(scored, f"separate objects of {subset.name}", len(subset))), axis=0)
    return tried[int(np.argmax(means))]


def _score_separations(image: PredictedImage, threshold: float, tried: Sequence[Separation]) -> list[float]:
    """Compute the mean average precision of each separation, with one watershed per depth."""
    seen, zoom = image.seen, image.zoom
    parted = cache(lambda depth: separated_objects(seen, threshold, depth / zoom, min_size=1))
    found = (without_small(parted(depth), Settings(min_size=size).smallest(zoom)) for depth, size in tried)
    return [mean_average_precision(match(image.labels, labels)) for labels in found]


def score(subset: PredictedSubset, truth: Truth, tuning: Tuning, *, bootstrap: int, seed: int) -> Evaluation:
    """Score a subset of at least one image with what was chosen before.

    `truth` holds the masks at their own size; `bootstrap` resamples over groups give the 95 % intervals. To
    draw them, the objects that were scored are kept at the arrays' size, where small ones may vanish, beside the
    probabilities as objects.npy, uint16 (subset, size, size).
    """

    def score_one(image: PredictedImage) -> ImageScore:
        return score_image(image, truth[int(image.row["index"])], tuning)

    images = []
    kept = growing(subset.folder / "objects.npy", np.uint16, subset.masks.shape[1:]) if subset.folder else nullcontext()
    with kept as add:
        for image in progress(in_parallel(score_one, subset), f"score {subset.name}", len(subset)):
            if add and image.drawn is not None:
                add(image.drawn)
            images.append(image._replace(drawn=None))  # or all would be in memory
    summary = {"threshold": tuning.threshold} | summarise(images, bootstrap, seed)
    summary["objects"] |= {"depth": tuning.depth, "min_size": tuning.min_size}
    per_image = sorted((image.row for image in images), key=lambda row: (row["dice"], row["id"]))
    bins = reliability(np.sum([image.tally for image in images], axis=0))
    return Evaluation(summary, per_image, threshold_curve(subset), bins)
