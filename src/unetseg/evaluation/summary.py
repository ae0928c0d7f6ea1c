"""Score predicted images one by one, and summarise them."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float64, UInt16

from unetseg.evaluation import matching, scores
from unetseg.evaluation.calibration import expected_calibration_error, score_estimate, tally
from unetseg.evaluation.comparison import bootstrap_interval
from unetseg.evaluation.predicted import PredictedImage
from unetseg.objects.separation import without_small
from unetseg.prediction.quality import stability, steadiness
from unetseg.prediction.settings import Tuning

PIXEL_SCORES = (scores.dice, scores.iou, scores.precision, scores.recall)


class ImageScore(NamedTuple):
    """A row of metrics/per_image.csv, the counts for the scores of all images together, and objects to draw."""

    row: dict[str, Any]
    counts: scores.Counts
    native: scores.Counts
    objects: matching.Match
    connected: matching.Match
    tally: Float64[np.ndarray, "3 bins"]
    drawn: UInt16[np.ndarray, "size size"] | None


def score_image(image: PredictedImage, native_mask: Bool[np.ndarray, "height width"], tuning: Tuning) -> ImageScore:
    """Score one image: pixels at the arrays' size and at its own, the boundary at the arrays', objects as predicted."""
    limit, at_own_size = np.float32(tuning.threshold), image.at_own_size
    predicted = image.probability >= limit
    counts = scores.count(image.mask, predicted)
    native = scores.count(native_mask, at_own_size >= limit)
    labels = image.objects(tuning.settings())
    drawn = without_small(image.fitted(labels), 1).astype(np.uint16)
    matched = matching.match(image.labels, labels)
    connected = matching.match(image.labels, image.objects(tuning.settings(objects="connected")))
    row = {
        **{name: image.row[name] for name in ("id", "subset", "group", "modality")},
        "source": image.row.get("source", ""),
        **{name: int(image.row[name]) for name in ("height", "width", "objects")},
        "foreground": float(image.row["foreground"]),
        "size": len(image.mask),
        **{score.__name__: float(score(counts)) for score in PIXEL_SCORES},
        "estimated_dice": tuning.estimate.dice_of(stability(steadiness(at_own_size, tuning.threshold))),
        "boundary_f1": scores.boundary_f1(image.mask, predicted),
        "dice_native": float(scores.dice(native)),
        "iou_native": float(scores.iou(native)),
        "objects_true": matched.true,
        "objects_predicted": matched.predicted,
        "f1_50": matching.f1(matched, 0.5),
        "f1_70": matching.f1(matched, 0.7),
        "map": matching.mean_average_precision(matched),
        "pq": matching.panoptic_quality(matched),
    }
    return ImageScore(row, counts, native, matched, connected, tally(image.mask, image.probability), drawn)


def summarise(images: Sequence[ImageScore], resamples: int, seed: int) -> dict[str, Any]:
    """Summarise at least one image for metrics/evaluate.json, with intervals of a bootstrap over groups.

    Returns:
        Means are over images. `low` and `high` bound the 95 % interval of the mean, None for fewer than two groups;
        `pooled` scores the pixels of all images as one; `objects.map_connected` is `objects.map` without separating
        touching objects.
    """
    rows = [image.row for image in images]
    counts = scores.pool(scores.stack([image.counts for image in images]))
    native = scores.pool(scores.stack([image.native for image in images]))
    shares = [
        (each.native.true_positive + each.native.false_positive) / (each.row["height"] * each.row["width"])
        for each in images
    ]
    return {
        "dice": _spread(rows, "dice", resamples, seed) | {"pooled": float(scores.dice(counts))},
        "iou": _spread(rows, "iou", resamples, seed) | {"pooled": float(scores.iou(counts))},
        **{name: _mean(rows, name) for name in ("precision", "recall", "boundary_f1")},
        "images": len(images),
        "groups": len({row["group"] for row in rows}),
        "native": {
            "dice": _spread(rows, "dice_native", resamples, seed) | {"pooled": float(scores.dice(native))},
            "iou": _spread(rows, "iou_native", resamples, seed) | {"pooled": float(scores.iou(native))},
        },
        "objects": {
            **{name: _mean(rows, name) for name in ("f1_50", "f1_70", "map", "pq")},
            "map_connected": float(np.mean([matching.mean_average_precision(image.connected) for image in images])),
            "true": sum(image.objects.true for image in images),
            "predicted": sum(image.objects.predicted for image in images),
        },
        "calibration": {"ece": expected_calibration_error(np.sum([image.tally for image in images], axis=0))},
        "estimate": score_estimate([row for row, share in zip(rows, shares, strict=True) if share]),
        "all_background": shares.count(0),
        "all_foreground": shares.count(1),
        "by_kind": _by(rows, "modality", resamples, seed),
        **({"by_source": _by(rows, "source", resamples, seed)} if any(row["source"] for row in rows) else {}),
    }


def _by(rows: Sequence[dict[str, Any]], column: str, resamples: int, seed: int) -> dict[str, Any]:
    parts: dict[str, list[dict[str, Any]]] = {value: [] for value in sorted({row[column] for row in rows})}
    for row in rows:
        parts[row[column]].append(row)
    return {
        value or "unknown": {"images": len(part), "dice": _spread(part, "dice", resamples, seed)}
        for value, part in parts.items()
    }


def _spread(rows: Sequence[dict[str, Any]], name: str, resamples: int, seed: int) -> dict[str, Any]:
    values = np.array([row[name] for row in rows], float)
    interval = bootstrap_interval(values, [row["group"] for row in rows], resamples, seed)
    low, high = np.clip(interval, 0, 1).tolist() if interval else (None, None)
    tenth, median = np.quantile(values, (0.1, 0.5)).tolist()
    return {"mean": _mean(rows, name), "median": median, "p10": tenth, "low": low, "high": high}


def _mean(rows: Sequence[dict[str, Any]], name: str) -> float:
    return float(np.mean([row[name] for row in rows]))


def headline(summary: Mapping[str, Any]) -> dict[str, Any]:
    """Choose of evaluate.json what a person looks at first: Dice with its interval, objects, and Dice elsewhere."""
    dice, objects = summary["dice"], summary["objects"]
    chosen = {"dice": dice["mean"], "dice_low": dice["low"], "dice_high": dice["high"]}
    chosen |= {"objects_f1": objects["f1_50"], "objects_map": objects["map"], "images": summary["images"]}
    return chosen | {f"dice_{name}": each["dice"]["mean"] for name, each in summary.get("external", {}).items()}
