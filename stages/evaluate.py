"""Predict the test subset with the model and score it."""

from pathlib import Path

from unetseg import stage
from unetseg.config import Params
from unetseg.evaluation.evaluation import evaluate, predict_subset, trained_sizes
from unetseg.files import atomic_path, sha256, write_csv, write_json
from unetseg.model.file import load_model
from unetseg.prediction.predictor import Predictor
from unetseg.prediction.tuning import Tuning
from unetseg.provenance import provenance


def main(
    params: Params,
    *,
    arrays: Path,
    samples: Path,
    split: Path,
    model: Path,
    metrics: Path,
    per_image: Path,
    thresholds: Path,
    reliability: Path,
    predictions: Path,
    tuning: Path,
) -> None:
    """Score the model on the test subset; what has to be chosen is chosen on the validation subset."""
    asked = params.evaluate
    predictor = Predictor(load_model(model), params.image.mode, tta=asked.tta)
    with atomic_path(predictions) as out:  # what is written beside it goes when the block ends
        validation, test = (
            predict_subset(predictor, arrays, samples, split, name=name, out=to)
            for name, to in (("validation", out.with_name("v")), ("test", out))
        )
        result = evaluate(test, validation, samples, **asked.model_dump(exclude={"tta"}))
    run = provenance(asked.model_dump(), [*sorted(arrays.iterdir()), split, model])
    chosen = {name: result.summary["objects"][name] for name in ("depth", "min_size")}
    values = Tuning(
        model=sha256(model),
        threshold=result.summary["threshold"],
        scale=params.image.mode,
        tta=asked.tta,
        pixel_size=params.image.pixel_size or None,
        **trained_sizes(arrays / "samples.csv", predictor),
        **chosen,
        estimate=result.estimate,
    )
    write_json(tuning, values.model_dump())
    write_json(metrics, result.summary | {"run": run})
    for path, rows in zip((per_image, thresholds, reliability), result[1:4], strict=True):
        write_csv(path, rows, list(rows[0]))


if __name__ == "__main__":
    stage.run(main)
