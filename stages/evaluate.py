"""Predict the test subset with the model and score it."""

from pathlib import Path

from unetseg import stage
from unetseg.dataset.subsets import Subset
from unetseg.evaluation.evaluation import evaluate, predict_native_subset, predict_subset
from unetseg.files import atomic_path, write_csv, write_json
from unetseg.model.file import load_model
from unetseg.params import Params
from unetseg.prediction.native import NativeModel
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
) -> None:
    """Score the model on the test subset; what has to be chosen is chosen on the validation subset."""
    network, asked, mode = load_model(model), params.evaluate, params.image.mode
    native = NativeModel(network).predict_array if mode == "tiles" else None
    with atomic_path(predictions) as out:  # what is written beside it goes when the block ends

        def predict(name: str, to: Path) -> Subset:
            if native is None:
                return predict_subset(network, arrays, split, name=name, out=to, tta=asked.tta)
            natives = out.with_name(f"native_{name}")
            return predict_native_subset(
                native, arrays, samples, split, name=name, out=to, natives=natives, tta=asked.tta
            )

        validation, test = predict("validation", out.with_name("v")), predict("test", out)
        result = evaluate(test, validation, samples, **asked.model_dump(exclude={"tta"}))
    run = provenance(asked.model_dump(), [*sorted(arrays.iterdir()), split, model])
    write_json(metrics, result.summary | {"run": run})
    for path, rows in zip((per_image, thresholds, reliability), result[1:], strict=True):
        write_csv(path, rows, list(rows[0]))


if __name__ == "__main__":
    stage.run(main)
