"""Predict the test subset with the model and score it."""

from pathlib import Path

from unetseg import stage
from unetseg.files import atomic_path, write_csv, write_json
from unetseg.network.modelfile import load_model
from unetseg.params import Params
from unetseg.provenance import provenance
from unetseg.scoring.evaluation import evaluate, predict_subset


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
) -> None:
    """Score the model on the test subset; what has to be chosen is chosen on the validation subset."""
    network, asked = load_model(model), params.evaluate
    with atomic_path(predictions) as out:  # what is written beside it goes when the block ends
        validation = predict_subset(network, arrays, split, name="validation", out=out.with_name("v"), tta=asked.tta)
        test = predict_subset(network, arrays, split, name="test", out=out, tta=asked.tta)
        result = evaluate(test, validation, samples, **asked.model_dump(exclude={"tta"}))
    run = provenance(asked.model_dump(), [*sorted(arrays.iterdir()), split, model])
    write_json(metrics, result.summary | {"run": run})
    for path, rows in zip((per_image, thresholds, reliability), result[1:], strict=True):
        write_csv(path, rows, list(rows[0]))


if __name__ == "__main__":
    stage.run(main)
