import json

import numpy as np
import pytest

from unetseg.evaluation.predicted import PredictedImage
from unetseg.evaluation.summary import score_image, summarise
from unetseg.prediction.settings import Tuning

ROW = {"id": "a", "subset": "test", "group": "g", "modality": "dark_grey", "height": "16", "width": "24",
       "objects": "1", "foreground": "0.25"}  # fmt: skip


def image(truth, predicted, **row):
    """Make an image of 8x8 whose truth and prediction fill columns from the left."""
    labels = np.zeros((8, 8), np.uint16)
    labels[:, :truth] = 1
    probability = np.full((8, 8), 0.1, np.float32)
    probability[:, :predicted] = 0.9
    return PredictedImage(ROW | row, labels > 0, labels, probability)


def scored(truth, predicted, **row):
    native = np.zeros((16, 24), bool)
    native[:, : 3 * truth] = True
    return score_image(image(truth, predicted, **row), native, Tuning(min_size=1))


def test_the_row_of_an_image_holds_what_the_worked_example_says():
    row = scored(4, 6).row
    assert row["dice"] == row["f1_50"] * 2 * 32 / 80 == pytest.approx(0.8)
    assert row["iou"] == row["pq"] == pytest.approx(32 / 48)
    assert (row["precision"], row["recall"]) == (pytest.approx(2 / 3), 1)
    assert (row["f1_50"], row["f1_70"], row["map"]) == (1, 0, pytest.approx(4 / 10))
    assert (row["objects"], row["objects_predicted"], row["foreground"]) == (1, 1, 0.25)
    assert (row["boundary_f1"], scored(2, 6).row["boundary_f1"] < 1) == (1, True)


def test_the_native_score_compares_the_probability_resized_back():
    assert scored(4, 4).row["dice_native"] == 1
    wider = scored(4, 6).row["dice_native"]
    assert wider == pytest.approx(0.8, abs=0.05)


def test_means_are_over_images_and_pooled_scores_over_pixels():
    summary = summarise([scored(4, 4, id="a", group="g"), scored(1, 0, id="b", group="h")], 200, 0)
    assert summary["dice"]["mean"] == summary["dice"]["median"] == 0.5
    assert summary["dice"]["p10"] == pytest.approx(0.1)
    assert (summary["dice"]["low"], summary["dice"]["high"]) == (0, 1)
    assert summary["dice"]["pooled"] == pytest.approx(2 * 32 / (2 * 32 + 8))
    assert summary["iou"]["pooled"] == pytest.approx(32 / 40)
    assert (summary["images"], summary["groups"]) == (2, 2)
    assert (summary["objects"]["true"], summary["objects"]["predicted"]) == (2, 1)
    assert summary["native"]["dice"]["mean"] == 0.5


def test_images_predicted_all_background_or_all_foreground_are_counted():
    summary = summarise([scored(4, 0), scored(4, 0), scored(4, 8), scored(4, 7)], 100, 0)
    assert (summary["all_background"], summary["all_foreground"]) == (2, 1)


def test_images_without_anything_predicted_do_not_count_in_the_score_of_the_estimate():
    with_negative = [scored(4, 4), scored(4, 6), scored(0, 0)]
    assert with_negative[2].row["dice"] == 1
    assert summarise(with_negative, 100, 0)["estimate"] == summarise(with_negative[:2], 100, 0)["estimate"]
    assert set(summarise(with_negative[2:], 100, 0)["estimate"].values()) == {None}


def test_every_kind_of_image_has_its_count_and_its_own_mean():
    images = [scored(4, 4, group="g"), scored(4, 4, group="h"), scored(4, 0, group="i", modality="colour")]
    kinds = summarise(images, 100, 0)["by_kind"]
    assert {name: kind["images"] for name, kind in kinds.items()} == {"colour": 1, "dark_grey": 2}
    assert (kinds["dark_grey"]["dice"]["mean"], kinds["colour"]["dice"]["mean"]) == (1, 0)


def test_the_interval_of_a_single_group_is_not_a_number_but_null():
    summary = summarise([scored(4, 4), scored(4, 3)], 100, 0)
    assert summary["dice"]["low"] is summary["dice"]["high"] is None
    assert json.loads(json.dumps(summary, allow_nan=False)) == summary


def test_what_is_predicted_at_the_images_own_size_alone_counts(tmp_path):
    native = np.full((16, 24), 0.1, np.float32)
    native[3:6, 3:6] = 0.9  # of which the arrays show nothing
    np.save(tmp_path / "0.npy", native)
    seen = image(1, 0)._replace(native=tmp_path / "0.npy", labels=(native > 0.5).astype(np.uint16))
    one = score_image(seen, native > 0.5, Tuning(min_size=1, scale="tiles"))
    assert (one.row["dice"], one.row["dice_native"], one.row["f1_50"], one.row["objects_predicted"]) == (0, 1, 1, 1)
    summary = summarise([one], 100, 0)
    assert (summary["all_background"], summary["all_foreground"]) == (0, 0)
    assert summary["estimate"]["mae"] == pytest.approx(abs(1 - one.row["estimated_dice"]))
