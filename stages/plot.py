"""Draw the pictures of a run and write the page to look through its test images."""

import json
from pathlib import Path

from unetseg import stage
from unetseg.config import Params
from unetseg.report.run import draw_run


def main(
    params: Params,
    *,
    arrays: Path,
    history: Path,
    evaluation: Path,
    per_image: Path,
    thresholds: Path,
    reliability: Path,
    predictions: Path,
    out: Path,
    report: Path,
) -> None:
    """Draw into the folder `out` and write the page `report`; the stages before computed what they show."""
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
        params=params.model_dump(include={"image", "split", "model", "augment", "train", "evaluate"}),
        examples=params.plot.examples,
        title=title,
    )


if __name__ == "__main__":
    stage.run(main)
