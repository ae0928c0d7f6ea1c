"""Draw charts of a run: training curves, the distribution of Dice, and what Dice depends on; and one of a sweep.

A function that takes a figure fills it, which is empty. Its other arguments are the rows of the table below metrics/
that has their name, or values of metrics/evaluate.json.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64
from matplotlib import ticker
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from unetseg.report.look import BLACK, BLUE, GREEN, GREY, ORANGE, PURPLE, picture

Rows = Sequence[Mapping[str, str]]

KINDS = {
    "dark_grey": ("dark grey", BLUE, "o"),
    "bright_grey": ("bright grey", ORANGE, "s"),
    "colour": ("colour", PURPLE, "^"),
}


def charts(
    history: Rows,
    per_image: Rows,
    evaluation: Mapping[str, Any],
    thresholds: Rows,
    reliability: Rows,
    external: Rows = (),
) -> dict[str, Callable[[Figure], None]]:
    """Return the functions that draw the charts of a run into an empty figure, by name.

    There is no `history` of a model that was trained elsewhere; `external` are the rows of external test sets.
    """
    drawn: dict[str, Callable[[Figure], None]] = {
        **({"training": partial(draw_training, history=history)} if history else {}),
        "distribution": partial(draw_distribution, per_image=per_image, dice=evaluation["dice"]),
        "by_kind": partial(draw_by_kind, per_image=per_image, evaluation=evaluation, external=external),
        "thresholds": partial(draw_thresholds, thresholds=thresholds, used=evaluation["threshold"]),
        "reliability": partial(draw_reliability, bins=reliability, error=evaluation["calibration"]["ece"]),
    }
    if any(_column(per_image, "foreground") > 0):
        drawn["dependence"] = partial(draw_dependence, per_image=per_image)
    if evaluation.get("estimate", {}).get("mae") is not None:
        drawn["estimate"] = partial(draw_estimate, per_image=per_image, estimate=evaluation["estimate"])
    return drawn


def draw_training(figure: Figure, history: Rows) -> None:
    """Draw training and validation Dice and loss over the epochs, and mark the selected epoch."""
    epochs, validation = _column(history, "epoch"), _column(history, "val_dice")
    best = int(np.nanargmax(validation))
    for axes, name, label in zip(figure.subplots(1, 2), ("dice", "loss"), ("Dice", "Loss"), strict=True):
        axes.plot(epochs, _column(history, name), color=BLUE, marker="o", markersize=3, label="training, augmented")
        axes.plot(epochs, _column(history, f"val_{name}"), color=ORANGE, marker="s", markersize=3, label="validation")
        axes.axvline(epochs[best], color=GREY, linestyle=":", linewidth=1.2)
        selected = _column(history, f"val_{name}")[best]
        axes.plot(epochs[best], selected, "*", color=BLACK, markersize=11, label="selected epoch")
        axes.set(title=label, xlabel="epoch")
        axes.xaxis.set_major_locator(ticker.MaxNLocator(integer=True))
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=3)  # beside the curves
    figure.set_figheight(3.3)
    figure.suptitle(f"Training: best validation Dice {validation[best]:.3f} in epoch {epochs[best]:.0f}")


def draw_distribution(figure: Figure, per_image: Rows, dice: Mapping[str, Any]) -> None:
    """Draw a histogram of the images' Dice with its mean, median, 10th percentile and interval."""
    values = _column(per_image, "dice")
    axes = figure.subplots()
    low = min(np.floor(values.min() * 20) / 20, 0.95)
    axes.hist(values, bins=np.linspace(low, 1, 26).tolist(), color=BLUE, alpha=0.6)
    axes.plot(values, np.full_like(values, 0.03), "|", color=BLACK, transform=axes.get_xaxis_transform())
    for name, label, style in (("mean", "mean", "-"), ("median", "median", "--"), ("p10", "10th percentile", ":")):
        axes.axvline(dice[name], color=BLACK, linestyle=style, linewidth=1.5, label=f"{label} {dice[name]:.3f}")
    if dice["low"] is not None:
        interval = f"95 % interval of the mean {dice['low']:.3f} to {dice['high']:.3f}"
        axes.axvspan(dice["low"], dice["high"], color="#f7dfa8", linewidth=0, zorder=0, label=interval)
    axes.yaxis.set_major_locator(ticker.MaxNLocator(integer=True))
    axes.set(xlabel="Dice of an image", ylabel="images")
    subset = per_image[0]["subset"]
    images = "test images" if subset == "test" else f"images of {subset}"
    axes.set_title(f"Dice of the {len(values)} {images}", parse_math=False)  # an archive's name may hold a $
    figure.legend(loc="outside lower center", ncols=2)
    figure.set_figheight(3.7)


def draw_by_kind(figure: Figure, per_image: Rows, evaluation: Mapping[str, Any], external: Rows = ()) -> None:
    """Draw the Dice of every image by kind, with each kind's mean and 95 % interval.

    Rows of `external` test sets name them as their subset.
    """
    axes = figure.subplots()
    groups = [("all", evaluation, per_image)]
    for kind, each in evaluation["by_kind"].items():
        groups.append((kind, each, [row for row in per_image if row["modality"] == kind]))
    for name, each in evaluation.get("external", {}).items():
        groups.append((name, each, [row for row in external if row["subset"] == name]))
    for place, (kind, each, rows) in enumerate(groups):
        dice, values = each["dice"], _column(rows, "dice")
        _, colour, marker = KINDS.get(kind, ("", GREY, "o"))
        spread = place + 0.35 * (np.arange(len(values)) * 0.618 % 1)  # spreads the points, always the same way
        axes.plot(values, spread, marker, color=colour, alpha=0.55, markeredgewidth=0)
        if dice["low"] is not None:
            axes.plot([dice["low"], dice["high"]], [place - 0.2] * 2, color=BLACK, linewidth=3, solid_capstyle="butt")
        axes.plot(dice["mean"], place - 0.2, "D", color="white", markeredgecolor=BLACK, markersize=7)
        axes.annotate(f"mean {dice['mean']:.3f}", (1.01, place - 0.2), xycoords=("axes fraction", "data"), va="center")
    labels = [f"{KINDS.get(kind, (kind,))[0]}\n{each['images']} images" for kind, each, _ in groups]
    axes.set_yticks(range(len(groups)), labels, parse_math=False)
    axes.set_ylim(len(groups) - 0.5, -0.5)
    figure.set_figheight(1.0 + 0.75 * len(groups))
    title = "Dice by kind of image: each image, mean (diamond) and 95 % interval (bar)"
    axes.set(xlabel="Dice of an image", title=title)


def draw_dependence(figure: Figure, per_image: Rows) -> None:
    """Draw Dice against the share of foreground and against the objects' mean area at the images' own size.

    The axes go by ratio, so images without foreground are not shown, but counted; at least one has some.
    """
    foreground, dice = _column(per_image, "foreground"), _column(per_image, "dice")
    objects = _column(per_image, "objects")
    pixels = foreground * _column(per_image, "height") * _column(per_image, "width")
    size = np.divide(pixels, objects, out=np.full(len(pixels), np.nan), where=objects > 0)
    left, right = figure.subplots(1, 2, sharey=True)
    for kind, (name, colour, marker) in KINDS.items():
        chosen = np.array([row["modality"] == kind for row in per_image])
        if chosen.any():
            style = {"color": colour, "alpha": 0.65, "markeredgewidth": 0, "label": name}
            left.plot(foreground[chosen], dice[chosen], marker, **style)
            right.plot(size[chosen], dice[chosen], marker, **style)
    left.set_ylabel("Dice of an image")
    _scale_by_ratio(left, "share of foreground", ticker.FuncFormatter(lambda share, _: f"{100 * share:g} %"))
    _scale_by_ratio(right, "mean object area (pixels)", ticker.ScalarFormatter())
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=len(KINDS))
    figure.set_figheight(3.5)
    without = np.count_nonzero(foreground == 0)
    told = f"\n{without} without foreground are not shown" if without else ""
    figure.suptitle(f"Dice against share of foreground and size of objects{told}")


def draw_reliability(figure: Figure, bins: Rows, error: float) -> None:
    """Draw the observed frequency of foreground against the predicted probability."""
    axes, counts = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    axes.plot([0, 1], [0, 1], color=GREY, linestyle="--", linewidth=1.2, label="perfectly calibrated")
    axes.plot(_column(bins, "confidence"), _column(bins, "frequency"), "o-", color=BLUE, label="model")
    axes.set(ylabel="observed share of foreground", xlim=(0, 1), ylim=(0, 1), title="Calibration of the probabilities")
    axes.annotate(f"expected calibration error {error:.4f}", (0.98, 0.06), xycoords="axes fraction", ha="right")
    axes.legend(loc="upper left")
    low, high = _column(bins, "low"), _column(bins, "high")
    counts.bar(low, _column(bins, "count"), width=high - low, align="edge", color=BLUE, alpha=0.6)
    figure.set_figheight(4.6)
    counts.set(xlabel="predicted probability of foreground", ylabel="pixels", yscale="log")
    counts.yaxis.set_major_formatter(ticker.EngFormatter(sep=""))
    counts.yaxis.set_minor_formatter(ticker.NullFormatter())
    least, most = counts.get_ylim()
    counts.set_ylim(min(least, most / 10))  # in any decade is a power of ten, which has a label


def draw_estimate(figure: Figure, per_image: Rows, estimate: Mapping[str, Any]) -> None:
    """Draw the true Dice of each image against the one that was estimated from its prediction, where there is any."""
    counted = [row for row in per_image if float(row["estimated_dice"]) or int(row["objects_predicted"])]
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color=GREY, linestyle="--", linewidth=1.2, label="estimate is right")
    estimated, true = _column(counted, "estimated_dice"), _column(counted, "dice_native")
    axes.plot(estimated, true, "o", color=BLUE, alpha=0.7, label="image")
    axes.set(xlabel="estimated Dice", ylabel="true Dice", xlim=(0, 1), ylim=(0, 1), title="Estimated and true Dice")
    axes.annotate(f"mean absolute error {estimate['mae']:.3f}", (0.98, 0.06), xycoords="axes fraction", ha="right")
    axes.legend(loc="upper left")
    figure.set_figheight(4.6)


def draw_thresholds(figure: Figure, thresholds: Rows, used: float) -> None:
    """Draw Dice over the threshold on both subsets, and precision and recall of the one that is scored, the last."""
    axes = figure.subplots()
    first = [row for row in thresholds if row["subset"] == thresholds[0]["subset"]]
    validation, test = (first, thresholds[len(first) :]) if len(first) < len(thresholds) else ([], first)
    if validation:
        _plot_curve(axes, validation, "dice", "Dice, validation", color=ORANGE, linestyle="--")
    for name, label, style in (("dice", "Dice", BLUE), ("precision", "precision", GREEN), ("recall", "recall", PURPLE)):
        subset = _no_formula(f"{test[0]['subset']:.20}")  # beside the curves is little room
        _plot_curve(axes, test, name, f"{label}, {subset}", color=style, linewidth=1 + 0.8 * (name == "dice"))
    axes.axvline(used, color=BLACK, linestyle=":", linewidth=1.2, label=f"used: {used:.2f}")
    axes.set(xlabel="probability from which a pixel is foreground", ylabel="mean over images", xlim=(0, 1))
    axes.set_title("Effect of the threshold")
    figure.set_figheight(3.3)
    figure.legend(loc="outside right center")


def draw_sweep(path: Path, runs: Sequence[Mapping[str, Any]], names: Sequence[str], score: str) -> None:
    """Draw one panel per varied parameter: each run as a point, and the mean score of the runs with one value."""
    with picture(path) as figure:
        figure.set_size_inches(figure.get_figwidth(), 2.4 * len(names))
        for axes, name in zip(np.atleast_1d(figure.subplots(len(names), 1, sharey=True)), names, strict=True):
            values, scores = ([run[each] for run in runs] for each in (name, score))
            numeric = all(type(value) in (int, float) for value in values)
            places = values if numeric else [_no_formula(value) for value in values]
            order = sorted(set(places))
            means = [np.mean([each for each, at in zip(scores, places, strict=True) if at == value]) for value in order]
            axes.plot(places, scores, "o", color=GREY, label="a run")
            axes.plot(order, means, "D-" if numeric else "D", color=BLUE, label="mean")
            axes.set(xlabel=name, ylabel=score)
        figure.axes[0].legend()


def _no_formula(text: object) -> str:
    """Keep a $ from beginning a formula."""
    return str(text).replace("$", r"\$")


def _scale_by_ratio(axes: Axes, label: str, formatter: ticker.Formatter) -> None:
    axes.set(xscale="log", xlabel=label)
    axes.xaxis.set_major_locator(ticker.LogLocator(10, subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(formatter)
    axes.xaxis.set_minor_formatter(ticker.NullFormatter())


def _plot_curve(axes: Axes, rows: Rows, name: str, label: str, **style: Any) -> None:
    axes.plot(_column(rows, "threshold"), _column(rows, name), label=label, **style)


def _column(rows: Rows, name: str) -> Float64[np.ndarray, " rows"]:
    """Read a column as numbers; an empty field is NaN."""
    return np.array([float(row[name] or "nan") for row in rows], np.float64)
