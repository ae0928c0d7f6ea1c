"""Predict the test subset with the model and score it; score an archive from elsewhere whole."""

from pathlib import Path

from unetseg import stage
from unetseg.config import Params
from unetseg.dataset.subsets import Subset
from unetseg.dataset.truth import Truth
from unetseg.evaluation.archives import evaluate_archive, is_empty
from unetseg.evaluation.evaluation import evaluate, predict_subset, trained_sizes
from unetseg.evaluation.summary import headline
from unetseg.files import atomic_path, scratch_folder, sha256, write_csv, write_json
from unetseg.model.file import load_model
from unetseg.prediction.predictor import Predictor
from unetseg.prediction.tuning import Tuning
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
    """Score the model on the test subset; what has to be chosen is chosen on the validation subset."""
    asked, external = params.evaluate, Path(params.evaluate.external)
    chance = asked.model_dump(include={"bootstrap", "seed"})
    predictor = Predictor(load_model(model), params.image.mode, tta=asked.tta)
    with atomic_path(predictions) as out, scratch_folder(predictions.with_name("evaluate.partial")) as scratch:

        def predict(name: str, to: Path) -> Subset:
            natives = scratch / f"native_{name}" if predictor.scale == "tiles" else None
            return predict_subset(predictor, arrays, split, name=name, out=to, natives=natives)

        validation, test = predict("validation", scratch / "validation"), predict("test", out)
        result = evaluate(test, validation, Truth(arrays), threshold=asked.threshold, **chance)
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
        if not is_empty(external):
            elsewhere = evaluate_archive(
                predictor, values, external, out / "external", data=params.data, settings=asked
            )
            result.summary["external"] = {external.stem: elsewhere.summary}
            write_csv(out / "external" / "per_image.csv", elsewhere.per_image, list(elsewhere.per_image[0]))
    data = [*sorted(arrays.iterdir()), split, model, external]
    write_json(tuning, values.model_dump())
    write_json(metrics, result.summary | {"run": provenance(asked.model_dump(), data)})
    write_json(summary, headline(result.summary))
    for path, rows in zip((per_image, thresholds, reliability), result[1:4], strict=True):
        write_csv(path, rows, list(rows[0]))


if __name__ == "__main__":
    stage.run(main)
