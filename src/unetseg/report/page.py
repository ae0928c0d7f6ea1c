"""Write the report page: one HTML file that needs no network and no server."""

import base64
import contextlib
import hashlib
import html
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from importlib import resources
from itertools import chain
from pathlib import Path
from string import Template
from typing import Any

import numpy as np

from unetseg.files import atomic_path, read_csv
from unetseg.images.resampling import resize
from unetseg.report import thumbnails
from unetseg.report.entries import MOST, Entry, scored_entries, worst_and_sample

PAGE_BYTES = 12_000_000  # size limit of all pictures together; the fewer images, the larger they are shown
BYTES_A_PIXEL = 0.28  # of an image with its layers, encoded; measured on BBBC038
SIDES = (256, 1024)  # smallest and largest longer side of a picture, pixels


def write_report(
    path: Path,
    entries: Iterable[Entry],
    *,
    total: int,
    title: str,
    subtitle: str,
    metrics: Mapping[str, Any],
    params: Mapping[str, Any],
    history: Sequence[Mapping[str, Any]],
) -> None:
    """Write the page; the same input gives the same bytes.

    Args:
        path: the HTML file to write.
        entries: the images, taken one at a time, so that memory does not grow with their number.
        total: how many there are; the more, the smaller their pictures.
        title: heading of the page.
        subtitle: a sentence below it.
        metrics: scores of the whole, nested as in evaluate.json; may be empty.
        params: the run's parameters, nested; may be empty.
        history: the epochs, as in history.csv; may be empty.
    """
    side = int(np.clip(math.sqrt(PAGE_BYTES / BYTES_A_PIXEL / max(total, 1)), *SIDES))
    before, after = _page(title, subtitle)
    with atomic_path(path) as beside, beside.open("w", encoding="utf-8", newline="\n") as file:
        file.write(before)
        run = {"metrics": metrics, "params": params, "history": [_plain(row) for row in history]}
        file.write(_json(run).removesuffix("}") + ',"entries":[\n')
        for index, entry in enumerate(entries):
            file.write((",\n" if index else "") + _json(_record(entry, side)))
        file.write("\n]}" + after)


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
    """Write the page of the test subset, from the outputs of earlier stages.

    Args:
        path: the HTML file to write.
        arrays: the folder of images.npy, masks.npy and samples.csv.
        predictions: the folder of probabilities.npy and ids.csv.
        per_image: the rows of per_image.csv.
        scores: the content of evaluate.json.
        history: the rows of history.csv. Their seconds are left out: the same training gives the same page.
        params: what to show of the parameters, nested.
        title: what the images are.
    """
    threshold, elsewhere = scores["threshold"], predictions / "external"
    shown = worst_and_sample(per_image)
    entries: Iterable[Entry] = scored_entries(arrays, predictions, shown, threshold)
    total, title = len(shown), f"{title}: Dice {scores['dice']['mean']:.3f}"
    subtitle = "Each test image with its prediction, at the size the model saw; the worst first."
    if len(shown) < len(per_image):
        subtitle = f"Of {len(per_image)} test images the {MOST // 2} worst and an even sample of {MOST // 2} others."
    if elsewhere.is_dir():
        rows = read_csv(elsewhere / "per_image.csv")
        rows = [row | {"modality": f"{row['subset']}: {row['modality']}"} for row in worst_and_sample(rows)]
        entries = chain(entries, scored_entries(elsewhere / "arrays", elsewhere / "predictions", rows, threshold))
        total += len(rows)
        title += "".join(f"; {name}: {each['dice']['mean']:.3f}" for name, each in scores["external"].items())
    write_report(
        path,
        entries,
        total=total,
        title=title,
        subtitle=subtitle,
        metrics=scores,
        params=params,
        history=[{name: value for name, value in row.items() if name != "seconds"} for row in history],
    )


def _record(entry: Entry, side: int) -> dict[str, Any]:
    height, width = entry.mask.shape
    height, width = (max(1, round(length * min(1, side / max(height, width)))) for length in (height, width))
    mask = thumbnails.shrink_mask(entry.mask, height, width)
    layers = {"prediction": thumbnails.mask_uri(mask)}
    if entry.truth is not None:
        truth = thumbnails.shrink_mask(entry.truth, height, width)
        layers |= {"errors": thumbnails.errors_uri(mask, truth), "truth": thumbnails.mask_uri(truth)}
    else:
        probability = None if entry.probability is None else resize(entry.probability, height, width)
        layers["outlines"] = thumbnails.outlines_uri(mask, probability)
    return {
        "id": entry.id,
        "height": height,
        "width": width,
        "scores": _plain(entry.scores),
        "image": thumbnails.image_uri(resize(entry.image, height, width)),
        "layers": layers,
    }


def _page(title: str, subtitle: str) -> tuple[str, str]:
    """Fill the template except for the data; return the text before and after the data.

    The page's policy lets only this very style and script run and only data URIs load, nothing that a file name
    smuggles in.
    """
    folder = resources.files("unetseg.report") / "templates"
    style = (folder / "report.css").read_text(encoding="utf-8")
    script = "".join((folder / name).read_text(encoding="utf-8") for name in ("charts.js", "report.js"))
    before, after = (folder / "report.html").read_text(encoding="utf-8").split("$data")
    values = {"title": html.escape(title), "subtitle": html.escape(subtitle), "style": style, "script": script}
    values |= {"style_hash": _csp_hash(style), "script_hash": _csp_hash(script)}
    return Template(before).substitute(values), Template(after).substitute(values)


def _csp_hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _json(content: Mapping[str, Any]) -> str:
    """Write JSON that cannot close the script element around it."""
    return json.dumps(content, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    """Convert numbers in a CSV row to numbers and empty fields to None; other text stays text."""
    return {name: _number(value) for name, value in row.items()}


def _number(value: Any) -> Any:
    """Convert text only if it is the usual form of a number: the groups 001, 1_2 and nan are names."""
    if isinstance(value, str):
        for kind in (int, float):
            with contextlib.suppress(ValueError):
                if str(number := kind(value)) == value and math.isfinite(number):
                    return number
        return value or None
    return None if isinstance(value, float) and not math.isfinite(value) else value
