"""Draw test images beside their true mask, predicted mask and errors, each into an empty figure."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import cv2
import numpy as np
from jaxtyping import Bool, Integer, UInt8
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from PIL import ImageColor
from skimage.segmentation import find_boundaries

from unetseg.files import read_csv
from unetseg.report.entries import Case, read_cases, stretched
from unetseg.report.look import BLUE, ORANGE, SKY

Row = TypeVar("Row")

AGREED = "#c4c4c4"
FALSE_POSITIVE, FALSE_NEGATIVE = ORANGE, BLUE
PREDICTED, TRUE, BOTH = ORANGE, SKY, "white"  # outlines, on a dimmed image
ERRORS = ("found", AGREED), ("false positive", FALSE_POSITIVE), ("false negative", FALSE_NEGATIVE)
OUTLINES = ("true", TRUE), ("predicted", PREDICTED), ("both", BOTH)
ZOOM = 3  # images are enlarged by this factor; an outline is one image pixel wide


def panels(
    per_image: Sequence[Mapping[str, str]],
    evaluation: Mapping[str, Any],
    arrays: Path,
    predictions: Path,
    examples: int,
) -> dict[str, Callable[[Figure], None]]:
    """Return the functions that draw the images of a run into an empty figure, by name.

    Args:
        per_image: the rows of metrics/per_image.csv, worst first.
        evaluation: metrics/evaluate.json.
        arrays: see `unetseg.report.entries`, as for the next.
        predictions: see above.
        examples: how many images are shown of each: highest, middle and lowest Dice.
    """
    read_from = partial(read_cases, threshold=evaluation["threshold"])
    read = partial(read_from, arrays, predictions)
    best, median, worst = chosen(per_image, examples)
    drawn: dict[str, Callable[[Figure], None]] = {
        "examples_best": partial(draw_examples, cases=read(best), title="Images with the highest Dice"),
        "examples_median": partial(draw_examples, cases=read(median), title="Images near the median Dice"),
        "examples_worst": partial(draw_examples, cases=read(worst), title="Images with the lowest Dice"),
        "worst": partial(draw_worst, cases=read(per_image[:12])),
        "outlines": partial(draw_outlines, cases=read(_four_of(per_image))),
    }
    if (elsewhere := predictions / "external").is_dir():
        shown = _four_of(read_csv(elsewhere / "per_image.csv"))
        cases = read_from(elsewhere / "arrays", elsewhere / "predictions", shown)
        drawn["external"] = partial(draw_examples, cases=cases, title="Images from elsewhere, from the lowest Dice up")
    return drawn


def _four_of(rows: Sequence[Row]) -> Sequence[Row]:
    """Choose four rows evenly, the first and the last among them."""
    return [rows[step] for step in np.unique(np.linspace(0, len(rows) - 1, 4).astype(int))]


def chosen(worst_first: Sequence[Row], examples: int) -> tuple[Sequence[Row], Sequence[Row], Sequence[Row]]:
    """Choose the best images and those around the median, the better first, and the worst; none twice.

    Each are `examples` images, or fewer where there are not three times as many; of fewer than three images, one stands
    for several.
    """
    count = len(worst_first)
    wanted = min(examples, max(1, count // 3))
    middle = (count - wanted + 1) // 2
    return worst_first[::-1][:wanted], worst_first[middle:][:wanted][::-1], worst_first[:wanted]


def draw_examples(figure: Figure, cases: Sequence[Case], title: str) -> None:
    """Draw one row per image: the image, its true mask, the predicted mask, and the errors."""
    for row, case in zip(_grid(figure, cases, 4, across=1, inches=2.0), cases, strict=True):
        _show(row[0], stretched(case.image), shortened(case.id, 26))
        _show(row[1], _black_and_white(case.labels > 0), "true mask")
        _show(row[2], _black_and_white(case.mask), "predicted mask")
        _show(row[3], errors(case.labels > 0, case.mask), f"errors: Dice {case.dice:.3f}")
    _explain(figure, title, ERRORS)


def draw_worst(figure: Figure, cases: Sequence[Case]) -> None:
    """Draw images, worst first, each beside its errors, three per row."""
    for (left, right), case in zip(_grid(figure, cases, 2, across=3, inches=1.4), cases, strict=True):
        _show(left, stretched(case.image), f"{case.dice:.3f}  {shortened(case.id, 22)}")
        _show(right, errors(case.labels > 0, case.mask), "")
    _explain(figure, f"The {len(cases)} images with the lowest Dice", ERRORS)


def draw_outlines(figure: Figure, cases: Sequence[Case]) -> None:
    """Draw the outlines of the true and the predicted objects on each image, two per row."""
    for (axes,), case in zip(_grid(figure, cases, 1, across=2, inches=3.8), cases, strict=True):
        counts = f"{case.true} true, {case.predicted} predicted objects"
        _show(axes, outlined(case), f"{shortened(case.id, 18)}: Dice {case.dice:.3f}, {counts}")
    _explain(figure, "Outlines of objects, from the lowest Dice to the highest", OUTLINES)


def errors(truth: Bool[np.ndarray, "h w"], mask: Bool[np.ndarray, "h w"]) -> UInt8[np.ndarray, "h w 3"]:
    """Colour true positives, false negatives and false positives on white."""
    canvas = np.full((*truth.shape, 3), 255, np.uint8)
    for where, colour in ((truth & mask, AGREED), (mask & ~truth, FALSE_POSITIVE), (truth & ~mask, FALSE_NEGATIVE)):
        canvas[where] = ImageColor.getrgb(colour)
    return canvas


def outlined(case: Case) -> UInt8[np.ndarray, "zoomed zoomed 3"]:
    """Draw the outlines of true and predicted objects on the image, enlarged, in grey and dimmed."""
    side = case.mask.shape[0] * ZOOM
    grey = cv2.cvtColor(stretched(case.image), cv2.COLOR_RGB2GRAY) // 10 * 7
    canvas = cv2.resize(cv2.merge([grey] * 3), (side, side), interpolation=cv2.INTER_LINEAR)
    true, predicted = (_outline(each) for each in (case.labels, case.objects))
    for where, colour in ((true, TRUE), (predicted, PREDICTED), (true & predicted, BOTH)):
        canvas[where] = ImageColor.getrgb(colour)
    return np.asarray(canvas)


def shortened(name: str, length: int) -> str:
    """Shorten a name, keeping some of its beginning and more of its end, where the wells of a plate differ."""
    return name if len(name) <= length else f"{name[: length // 3]}…{name[length // 3 + 1 - length :]}"


def _outline(labels: Integer[np.ndarray, "h w"]) -> Bool[np.ndarray, "zoomed zoomed"]:
    enlarged = np.kron(labels, np.ones((ZOOM, ZOOM), labels.dtype))
    thin = find_boundaries(enlarged, mode="inner")
    return cv2.dilate(thin.astype(np.uint8), np.ones((ZOOM, ZOOM), np.uint8)) > 0


def _grid(figure: Figure, cases: Sequence[Case], each: int, *, across: int, inches: float) -> list[list[Axes]]:
    """Give each case some axes, with so many cases in a row, which is so high."""
    rows = -(-len(cases) // across)
    figure.set_figheight(0.9 + inches * rows)
    axes = figure.subplots(rows, each * across, squeeze=False).ravel().tolist()
    for unused in axes[each * len(cases) :]:
        unused.set_axis_off()
    return [axes[each * place :][:each] for place in range(len(cases))]


def _show(axes: Axes, pixels: UInt8[np.ndarray, "h w 3"], title: str) -> None:
    axes.imshow(pixels)
    axes.set_title(title, fontsize=7.5, fontweight="normal", pad=3, parse_math=False)  # an id may hold a $
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set(visible=True, linewidth=0.6)


def _explain(figure: Figure, title: str, key: Sequence[tuple[str, str]]) -> None:
    figure.suptitle(title)
    patches = [Patch(facecolor=colour, edgecolor=AGREED, label=name) for name, colour in key]
    figure.legend(handles=patches, loc="outside lower center", ncols=len(patches))


def _black_and_white(mask: Bool[np.ndarray, "h w"]) -> UInt8[np.ndarray, "h w 3"]:
    return cv2.merge([mask.astype(np.uint8) * 255] * 3)
