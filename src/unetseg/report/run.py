"""Draw everything that is looked at of an evaluation: the pictures and the page."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from unetseg.files import atomic_path, read_csv
from unetseg.report.charts import charts
from unetseg.report.look import picture
from unetseg.report.page import write_scored_report
from unetseg.report.panels import panels

Rows = Sequence[Mapping[str, Any]]


def draw_run(
    out: Path,
    page: Path,
    *,
    arrays: Path,
    predictions: Path,
    scores: Mapping[str, Any],
    per_image: Path,
    thresholds: Path,
    reliability: Path,
    history: Path | None,
    params: Mapping[str, Any],
    examples: int,
    title: str = "Test subset",
) -> None:
    """Draw into the folder `out` and write the page.

    Args:
        out: the folder to make.
        page: the HTML file to write.
        arrays: the folder of images.npy, masks.npy, labels.npy and samples.csv.
        predictions: the folder of probabilities.npy and ids.csv, and of `external`.
        scores: the content of evaluate.json.
        per_image: the table of that name; likewise `thresholds` and `reliability`.
        thresholds: see above.
        reliability: see above.
        history: that of the training, if it is known.
        params: what to show of the parameters, nested.
        examples: how many images are shown of each: highest, middle and lowest Dice.
        title: what the images are.
    """
    rows, epochs = read_csv(per_image), read_csv(history) if history else []
    elsewhere = predictions / "external" / "per_image.csv"
    external = read_csv(elsewhere) if elsewhere.is_file() else []
    write_scored_report(
        page, arrays, predictions, per_image=rows, scores=scores, history=epochs, params=params, title=title
    )
    drawn = charts(epochs, rows, scores, read_csv(thresholds), read_csv(reliability), external)
    drawn |= panels(rows, scores, arrays, predictions, examples)
    with atomic_path(out) as folder:
        for name, draw in drawn.items():
            with picture(folder / f"{name}.png") as figure:
                draw(figure)
