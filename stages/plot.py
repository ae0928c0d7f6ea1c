"""Draw the pictures of a run and write the page to look through its test images."""

import json
from pathlib import Path
from typing import Any

from unetseg import stage
from unetseg.config import Params
from unetseg.provenance import digest
from unetseg.report.run import draw_run


def main(
    params: Params,
    *,
    arrays: Path,
    history: Path,
    training: Path,
    evaluation: Path,
    per_image: Path,
    thresholds: Path,
    reliability: Path,
    predictions: Path,
    out: Path,
    report: Path,
) -> None:
    """Draw into the folder `out` and write the page `report`; the stages before computed what they show."""
    trained = json.loads(training.read_text(encoding="utf-8"))
    scores, title = json.loads(evaluation.read_text(encoding="utf-8")), "Test subset"
    if not (predictions / "probabilities.npy").exists():  # split.test: 0
        (title,) = scores.pop("external")
        arrays, predictions = (predictions / "external" / name for name in ("arrays", "predictions"))
    draw_run(
        out,
        report,
        arrays=arrays,
        predictions=predictions,
        scores=scores,
        per_image=per_image,
        thresholds=thresholds,
        reliability=reliability,
        history=history,
        params=used(params, trained["run"], scores["run"]),
        examples=params.plot.examples,
        title=title,
    )


def used(params: Params, training: dict[str, str], evaluation: dict[str, str]) -> dict[str, Any]:
    """Give the parameters of a run, and a line in place of those that were changed since it was trained or scored."""
    train, evaluate = params.model_dump(include={"image", "model", "augment", "train"}), params.evaluate.model_dump()
    shown = params.model_dump(include={"split"})
    if digest(train) == training["params"]:
        shown |= train
    else:
        shown[", ".join(train)] = "not shown: params.yaml no longer has the values that the model was trained with"
    changed = "not shown: params.yaml no longer has the values that the model was scored with"
    return shown | {"evaluate": evaluate if digest(evaluate) == evaluation["params"] else changed}


if __name__ == "__main__":
    stage.run(main)
