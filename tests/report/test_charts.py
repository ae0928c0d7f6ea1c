import numpy as np
import pytest
from matplotlib.figure import Figure

from unetseg.report import charts as figures
from unetseg.report.look import picture

EPOCHS = [
    {"epoch": str(epoch), "dice": "0.5", "loss": "0.4", "val_dice": dice, "val_loss": "0.3"}
    for epoch, dice in ((1, "0.2"), (2, "0.8"), (3, "0.7"))
]


def row(kind="dark_grey", dice="0.9", objects="4", foreground="0.25"):
    return {
        "subset": "test",
        "modality": kind,
        "dice": dice,
        "objects": objects,
        "foreground": foreground,
        "height": "20",
        "width": "40",
    }


def score(low=0.85):
    return {"mean": 0.9, "median": 0.91, "p10": 0.7, "low": low, "high": None if low is None else 0.95}


def lines(axes, label):
    return next(line for line in axes.get_lines() if line.get_label() == label)


@pytest.fixture
def figure():
    return Figure()


def test_the_epoch_with_the_best_validation_dice_is_marked_on_both_curves(figure):
    figures.draw_training(figure, EPOCHS)

    stars = [lines(axes, "selected epoch").get_xydata().tolist() for axes in figure.axes]
    assert stars == [[[2, 0.8]], [[2, 0.3]]]
    assert "0.800 in epoch 2" in figure.get_suptitle()


def test_every_image_is_in_the_histogram_of_dice(figure):
    figures.draw_distribution(figure, [row(dice=dice) for dice in ("0.31", "0.9", "1.0")], score())

    assert (
        sum(bar.get_height() for bar in figure.axes[0].patches if bar.get_height() >= 1 and bar.get_width() < 0.1) >= 3
    )
    assert figure.axes[0].get_xlim()[0] <= 0.31


@pytest.mark.parametrize(("subset", "images"), [("test", "2 test images"), ("$lab_$", "2 images of $lab_$")])
def test_the_distribution_names_the_archive_whose_images_it_shows_but_for_the_test_subset(subset, images, tmp_path):
    with picture(tmp_path / "a.png") as figure:
        figures.draw_distribution(figure, [row() | {"subset": subset}] * 2, score())
    assert figure.axes[0].get_title("left") == f"Dice of the {images}"


def test_a_distribution_without_an_interval_or_a_spread_can_be_drawn(figure):
    figures.draw_distribution(figure, [row(dice="1.0")], score(low=None))

    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["mean 0.900", "median 0.910", "10th percentile 0.700"]


def test_an_external_archive_of_the_name_of_a_subset_or_a_kind_has_its_own_images(figure):
    rows, external = [row()], [{**row(dice=dice), "subset": "test"} for dice in ("0.3", "0.4")]
    kinds = {"dark_grey": {"images": 1, "dice": score()}}
    scores = {"images": 1, "dice": score(), "by_kind": kinds, "external": {"test": {"images": 2, "dice": score()}}}
    figures.draw_by_kind(figure, rows, scores, external)
    points = [line.get_xdata().tolist() for line in figure.axes[0].get_lines() if line.get_alpha()]
    assert points == [[0.9], [0.9], [0.3, 0.4]]


def test_a_name_that_reads_as_a_formula_is_drawn_as_it_is(tmp_path):
    scores = {"images": 1, "dice": score(), "by_kind": {}, "external": {"$lab_$": {"images": 1, "dice": score()}}}
    with picture(tmp_path / "a.png") as drawn:
        figures.draw_by_kind(drawn, [row()], scores, [row() | {"subset": "$lab_$"}])
    assert [text.get_text() for text in drawn.axes[0].get_yticklabels()] == ["all\n1 images", "$lab_$\n1 images"]
    runs = [{"data.archive": name, "dice.mean": 0.8} for name in ("$a_$.zip", "b.zip")]
    figures.draw_sweep(tmp_path / "b.png", runs, ["data.archive"], "dice.mean")


def test_each_kind_has_its_images_its_count_and_its_interval(figure):
    rows = [row(), row("colour", "0.5"), row("colour", "0.6")]
    kinds = {"colour": {"images": 2, "dice": score()}, "dark_grey": {"images": 1, "dice": score(low=None)}}
    figures.draw_by_kind(figure, rows, {"images": 3, "dice": score(), "by_kind": kinds})

    axes = figure.axes[0]
    assert [text.get_text() for text in axes.get_yticklabels()] == [
        "all\n3 images",
        "colour\n2 images",
        "dark grey\n1 images",
    ]
    points = [line.get_xdata().tolist() for line in axes.get_lines() if line.get_alpha()]
    assert points == [[0.9, 0.5, 0.6], [0.5, 0.6], [0.9]]
    bars = [
        line.get_ydata().tolist()
        for line in axes.get_lines()
        if len(line.get_xdata()) == 2 and line.get_linewidth() == 3
    ]
    assert bars == [[-0.2, -0.2], [0.8, 0.8]]


def test_the_area_of_an_object_is_its_share_of_the_image_in_own_pixels(figure):
    figures.draw_dependence(figure, [row(), row(objects="0", foreground="0", dice="1.0")])

    area, _ = lines(figure.axes[1], "dark grey").get_xydata().T
    np.testing.assert_array_equal(area, [0.25 * 20 * 40 / 4, np.nan])


@pytest.mark.parametrize("foreground", ["0.25", "0.0"])
def test_what_dice_depends_on_is_drawn_if_an_image_has_foreground(foreground):
    images = [row(objects="0", foreground="0.0"), row(foreground=foreground)]
    scores = {"dice": score(), "threshold": 0.5, "calibration": {"ece": 0.1}}
    drawn = figures.charts([], images, scores, [], [])
    assert ("dependence" in drawn) == (foreground != "0.0")


def test_an_empty_bin_of_probability_has_no_point(figure):
    bins = [
        {"low": "0.0", "high": "0.5", "count": "7", "confidence": "0.2", "frequency": "0.1"},
        {"low": "0.5", "high": "1.0", "count": "0", "confidence": "", "frequency": ""},
    ]
    figures.draw_reliability(figure, bins, 0.1)

    np.testing.assert_array_equal(lines(figure.axes[0], "model").get_xydata(), [[0.2, 0.1], [np.nan, np.nan]])
    assert [bar.get_height() for bar in figure.axes[1].patches] == [7, 0]


@pytest.mark.parametrize("most", ["30000", "80000", "400000", "9000000"])
def test_some_count_of_pixels_has_a_label_and_none_covers_another(tmp_path, most):
    bins = [
        {"low": low, "high": "1.0", "count": count, "confidence": low, "frequency": low}
        for low, count in (("0.0", "23000"), ("0.5", most))
    ]
    with picture(tmp_path / "a.png") as figure:
        figures.draw_reliability(figure, bins, 0.1)
    axis = figure.axes[1].yaxis
    bottom, top = figure.axes[1].get_ylim()
    assert [at for at in axis.get_majorticklocs() if bottom <= at <= top]
    assert not any(label.get_text() for label in axis.get_ticklabels(minor=True))


@pytest.mark.parametrize("scored", ["test", "other lab"])
def test_thresholds_of_validation_and_what_is_scored_are_two_curves(figure, scored):
    rows = [
        {"subset": subset, "threshold": "0.5", "dice": dice, "precision": "0.7", "recall": "0.9"}
        for subset, dice in (("validation", "0.8"), (scored, "0.6"))
    ]
    figures.draw_thresholds(figure, rows, 0.5)

    assert lines(figure.axes[0], "Dice, validation").get_ydata().tolist() == [0.8]
    assert lines(figure.axes[0], f"Dice, {scored}").get_ydata().tolist() == [0.6]
    assert lines(figure.axes[0], "used: 0.50").get_xdata() == [0.5, 0.5]


def test_every_image_is_drawn_at_its_estimated_and_its_true_dice(figure):
    found = [("0.9", "0.85", "4"), ("0.4", "0.5", "0"), ("0.1", "0.0", "2"), ("1.0", "0.0", "0")]
    rows = [
        row() | {"dice_native": dice, "estimated_dice": told, "objects_predicted": count} for dice, told, count in found
    ]
    figures.draw_estimate(figure, rows, {"mae": 0.075})
    assert lines(figure.axes[0], "image").get_xydata().tolist() == [[0.85, 0.9], [0.5, 0.4], [0.0, 0.1]]
    assert "mean absolute error 0.075" in [text.get_text() for text in figure.axes[0].texts]


def test_no_legend_covers_bars_or_curves(tmp_path):
    curve = {"subset": "test", "dice": "0.5", "precision": "1", "recall": "0"}
    thresholds = [curve | {"threshold": threshold} for threshold in ("0", "1")]
    images = [row(dice=dice) for dice in ("0.31", "0.9", "1.0")]
    for draw in (
        lambda figure: figures.draw_training(figure, EPOCHS),
        lambda figure: figures.draw_distribution(figure, images, score()),
        lambda figure: figures.draw_thresholds(figure, thresholds, 0.5),
    ):
        with picture(tmp_path / "a.png") as figure:
            draw(figure)
        figure.canvas.draw()
        (legend,) = figure.legends
        assert not any(legend.get_window_extent().overlaps(axes.get_window_extent()) for axes in figure.axes)
