import numpy as np
import pytest
from matplotlib.figure import Figure

from unetseg.report import panels
from unetseg.report.entries import Case

GREY, ORANGE, BLUE, WHITE = [196, 196, 196], [230, 159, 0], [0, 114, 178], [255, 255, 255]


def case(name="a", dice=0.5, true=1, predicted=1):
    labels = np.zeros((8, 8), np.uint16)
    labels[2:5, 2:5] = 7
    objects = np.zeros((8, 8), np.int32)
    objects[3:6, 2:5] = 1
    image = np.random.default_rng(0).integers(0, 60, (8, 8, 3), np.uint8)
    return Case(name, dice, true, predicted, image, labels, objects > 0, objects.astype(np.uint16))


def titles(figure):
    return [axes.get_title() for axes in figure.axes if axes.axison]


def test_each_pixel_has_the_colour_of_its_error():
    truth = np.array([[True, True], [False, False]])
    mask = np.array([[True, False], [True, False]])

    assert panels.errors(truth, mask).tolist() == [[GREY, BLUE], [ORANGE, WHITE]]


def test_outlines_that_agree_are_white_and_the_others_tell_whose_they_are():
    drawn = panels.outlined(case())
    size = panels.ZOOM

    assert drawn.shape == (8 * size, 8 * size, 3)
    assert drawn[2 * size + 1, 3 * size + 1].tolist() == [86, 180, 233]  # the upper edge, of the truth alone
    assert drawn[6 * size - 1, 3 * size + 1].tolist() == ORANGE  # the lower edge, of the prediction alone
    assert drawn[4 * size, 2 * size].tolist() == WHITE  # the left edge of both


def test_an_example_shows_four_pictures_with_its_dice_and_its_id():
    figure = Figure()
    panels.draw_examples(figure, [case("a$b$", 0.25), case("c" * 80)], "Examples")

    assert titles(figure)[:4] == ["a$b$", "true mask", "predicted mask", "errors: Dice 0.250"]
    assert len(titles(figure)) == 8
    assert all(len(title) <= 26 for title in titles(figure))
    figure.canvas.draw()  # an id that looks like a formula is drawn as it is


def test_long_names_that_differ_at_their_end_are_told_apart():
    figure = Figure()
    panels.draw_worst(figure, [case(f"2024-03 Plate 3 Well {well} dapi.tif") for well in ("A01", "A02")])
    panels.draw_examples(figure, [case("c" * 26), case("c" * 27)], "Examples")

    assert titles(figure)[::2][:2] == ["0.500  2024-03…l A01 dapi.tif", "0.500  2024-03…l A02 dapi.tif"]
    assert titles(figure)[-8::4] == ["c" * 26, "c" * 8 + "…" + "c" * 17]


def test_pictures_that_do_not_fill_their_grid_leave_it_empty():
    worst, outlines = Figure(), Figure()
    panels.draw_worst(worst, [case("a"), case("b"), case("c"), case("d")])
    panels.draw_outlines(outlines, [case()])

    assert [title for title in titles(worst) if title] == ["0.500  a", "0.500  b", "0.500  c", "0.500  d"]
    assert titles(outlines) == ["a: Dice 0.500, 1 true, 1 predicted objects"]


def test_outlines_state_the_objects_that_were_scored_also_those_that_vanish_at_the_models_size():
    figure = Figure()
    panels.draw_outlines(figure, [case(true=90, predicted=99)])

    assert titles(figure)[0] == "a: Dice 0.500, 90 true, 99 predicted objects"


@pytest.mark.parametrize("count", [3, 4, 5, 6, 7, 12, 100])
@pytest.mark.parametrize("examples", [1, 3, 20])
def test_best_median_and_worst_never_share_an_image_and_the_median_leads_with_its_better(count, examples):
    best, median, worst = panels.chosen(range(count), examples)
    assert len(best) == len(median) == len(worst) == min(examples, count // 3)
    assert len({*best, *median, *worst}) == 3 * len(best)
    assert best[0] == count - 1
    assert worst[0] == 0
    assert list(median) == sorted(median, reverse=True)
    assert median[-1] - len(worst) == pytest.approx(count - 1 - len(best) - median[0], abs=1)
