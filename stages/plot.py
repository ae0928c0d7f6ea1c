"""Draw the pictures of a run and write the page to look through its test images."""

import json
from pathlib import Path

from unetseg import stage
from unetseg.config import Params
from unetseg.files import atomic_path, read_csv
from unetseg.report.charts import charts
from unetseg.report.look import picture
from unetseg.report.page import write_scored_report
from unetseg.report.panels import panels


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
    rows, scores = read_csv(per_image), json.loads(evaluation.read_text(encoding="utf-8"))
    epochs, shown = (
        read_csv(history),
        params.model_dump(include={"image", "split", "model", "augment", "train", "evaluate"}),
    )
    write_scored_report(report, arrays, predictions, per_image=rows, scores=scores, history=epochs, params=shown)
    drawn = charts(epochs, rows, scores, read_csv(thresholds), read_csv(reliability))
    drawn |= panels(rows, scores, arrays, predictions, params.plot.examples)
    with atomic_path(out) as folder:
        for name, draw in drawn.items():
            with picture(folder / f"{name}.png") as figure:
                draw(figure)


if __name__ == "__main__":
    stage.run(main)
