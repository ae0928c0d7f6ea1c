"""Predict the test subset with the model and score it; score an archive from elsewhere whole."""

import sys
from pathlib import Path
from typing import Any

import numpy as np

from unetseg import stage
from unetseg.config import Params
from unetseg.dataset.checking import unlike_pixel_size
from unetseg.dataset.subsets import Truth
from unetseg.errors import InputError
from unetseg.evaluation.archives import evaluate_archive, seen_before
from unetseg.evaluation.evaluation import choose, predict_subset, score, taken_for_negatives, trained_sizes
from unetseg.evaluation.predicted import PredictedSubset
from unetseg.evaluation.summary import headline
from unetseg.files import atomic_path, is_empty_zip, read_csv, scratch_folder, sha256, write_csv, write_json
from unetseg.model.file import load_model
from unetseg.prediction.predictor import Predictor
from unetseg.prediction.settings import Tuning
from unetseg.prediction.zoom import Zooming
from unetseg.provenance import provenance


def main(
    params: Params,
    *,
    arrays: Path,
    split: Path,
    model: Path,
    metrics: Path,
    summary: Path,
    per_image: Path,
    thresholds: Path,
    reliability: Path,
    predictions: Path,
    tuning: Path,
) -> None:
    """Score the model on the test subset; what has to be chosen is chosen on the validation subset.

    Without a test subset (`split.test: 0`), the scores are those of `evaluate.external`.
    """
    asked, external = params.evaluate, Path(params.evaluate.external)
    chance = asked.model_dump(include={"bootstrap", "seed"})
    loaded = load_model(model)
    predictor = Predictor(loaded, params.image.mode, tta=asked.tta)
    with atomic_path(predictions) as out, scratch_folder(predictions.parent) as scratch:

        def predict(name: str, to: Path, tuning: Tuning) -> PredictedSubset:
            how: dict[str, Any] = {}
            if predictor.scale == "tiles":
                how = {"natives": scratch / f"native_{name}", "zooming": Zooming(tuning.settings(), tuning)}
            return predict_subset(predictor, arrays, split, name=name, out=to, **how)

        known = {
            "model": sha256(model),
            "tta": asked.tta,
            "pixel_size": params.image.pixel_size or None,
            **trained_sizes(arrays / "samples.csv", split, predictor),
        }
        before, truth = Tuning(scale=predictor.scale, **known), Truth(arrays)
        validation = predict("validation", scratch / "validation", before)
        chosen, curve = choose(validation, truth, asked.threshold)
        images = np.load(arrays / "images.npy", mmap_mode="r")
        decides = any(layer.name == "polarity" for layer in loaded.layers)
        if decides and (turned := taken_for_negatives(validation, images)):
            some = f"{len(turned)} of {len(validation)} validation images for their negatives, such as {turned[0]}"
            rule = "val_dice does not show it, and a longer training or augment.negative may help (docs/train.md)"
            print(f"warning: the model takes {some}: {rule}", file=sys.stderr)
        rows = read_csv(arrays / "samples.csv")
        for line in unlike_pixel_size(rows, params.image.pixel_size, predictor.size, params.image.mode):
            print(f"warning: {line}", file=sys.stderr)
        values = chosen.model_copy(update=known)
        found, scores = [], {}
        if any(row["subset"] == "test" for row in read_csv(split)):
            found.append(score(predict("test", out, values), truth, values, **chance))
        if not is_empty_zip(external):
            found.append(evaluate_archive(predictor, values, external, out / "external", data=params.data, **chance))
            if seen := seen_before(arrays, split, out / "external" / "arrays"):
                told = f"{len(seen)} of {len(found[-1].per_image)} images show what is in train or validation too"
                some = ", ".join(f"{name} like {other}" for name, other in [*seen.items()][:3])
                print(f"warning: {external}: {told}: its scores are too good (such as {some})", file=sys.stderr)
            rows = [row | {"trained_on": seen.get(row["id"])} for row in found[-1].per_image]
            write_csv(out / "external" / "per_image.csv", rows, list(rows[0]))
            scores = {"external": {external.stem: found[-1].summary | {"trained_on": len(seen)}}}
        if not found:
            rule = "raise split.test, or name an archive in evaluate.external"
            raise InputError(f"there is no test image to score: {rule}")
    scores = found[0].summary | scores
    data = [*sorted(arrays.iterdir()), split, model, external]
    write_json(tuning, values.model_dump())
    write_json(metrics, scores | {"run": provenance(asked.model_dump(), data)})
    write_json(summary, headline(scores))
    tables = found[0].per_image, [*curve, *found[0].thresholds], found[0].reliability
    for path, rows in zip((per_image, thresholds, reliability), tables, strict=True):
        write_csv(path, rows, list(rows[0]))


if __name__ == "__main__":
    stage.run(main)
