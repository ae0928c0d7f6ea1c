"""Draw everything that is looked at of an evaluation: the pictures and the page."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from unetseg.files import atomic_path, read_csv
from unetseg.report.charts import charts
from unetseg.report.entries import MOST, Entry, scored_entries, worst_and_sample
from unetseg.report.look import picture
from unetseg.report.page import write_report
from unetseg.report.panels import panels


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
    title: str,
) -> None:
    """Draw into the folder `out` and write the page.

    Args:
        out: the folder to make.
        page: the HTML file to write.
        arrays: see `unetseg.report.entries`, as for the next.
        predictions: see above; it may hold those of `external`, too.
        scores: the content of evaluate.json.
        per_image: the table of that name, as are the next two.
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


def write_scored_report(
    path: Path,
    arrays: Path,
    predictions: Path,
    *,
    per_image: Sequence[Mapping[str, Any]],
    scores: Mapping[str, Any],
    history: Sequence[Mapping[str, Any]],
    params: Mapping[str, Any],
    title: str = "Test subset",
) -> None:
    """Write the page of the test subset, from the outputs of earlier stages; see `draw_run`."""
    threshold, elsewhere = scores["threshold"], predictions / "external"
    shown = worst_and_sample(per_image)
    entries: Iterable[Entry] = scored_entries(arrays, predictions, shown, threshold)
    total, title = len(shown), f"{title}: Dice {scores['dice']['mean']:.3f}"
    subtitle = "Each image with its prediction, at the model's size; the worst first."
    if len(shown) < len(per_image):
        subtitle = f"Of {len(per_image)} images the {MOST // 2} worst and an even sample of {MOST // 2} others."
    if elsewhere.is_dir():
        rows = read_csv(elsewhere / "per_image.csv")
        rows = [row | {"modality": f"{row['subset']}: {row['modality']}"} for row in worst_and_sample(rows)]
        entries = chain(entries, scored_entries(elsewhere / "arrays", elsewhere / "predictions", rows, threshold))
        total += len(rows)
        for name, each in scores["external"].items():
            seen = f" ({each['trained_on']} of its images are seen in training)" if each.get("trained_on") else ""
            title += f"; {name}: {each['dice']['mean']:.3f}{seen}"
    words = {"title": title, "subtitle": subtitle}
    write_report(path, entries, total=total, metrics=scores, params=params, history=history, **words)
