import numpy as np
import pytest

from unetseg.evaluation.calibration import calibrate, score_estimate
from unetseg.prediction.quality import Estimate


def test_the_estimate_takes_back_what_the_model_expects_too_much():
    expected = np.linspace(0.6, 0.95, 30)
    estimate = calibrate(expected.tolist(), (expected - 0.1).tolist())
    assert estimate.dice_of(0.8) == pytest.approx(0.7, abs=0.02)
    assert estimate.dice_of(0.0) == 0
    assert 0 < estimate.dice_of(0.3) < 0.5


def test_the_estimate_never_falls_where_the_model_expects_more():
    rng = np.random.default_rng(0)
    expected = rng.random(40)
    estimate = calibrate(expected.tolist(), np.clip(expected + rng.normal(0, 0.3, 40), 0, 1).tolist())
    assert (np.diff([estimate.dice_of(value) for value in np.linspace(0, 1, 50).tolist()]) >= 0).all()


def test_with_few_images_the_models_own_expectation_is_taken():
    assert calibrate([0.9, 0.8], [0.1, 0.2]) == Estimate()


@pytest.mark.parametrize("expected", [0.0, 0.5, 1.0])
def test_where_nothing_was_found_right_the_estimate_is_0(expected):
    estimate = calibrate([expected] * 8, [0.0] * 8)
    assert [estimate.dice_of(value) for value in (0.0, 0.5, 1.0)] == [0, 0, 0]


def test_images_of_one_step_of_the_isotonic_regression_are_told_apart():
    estimate = calibrate(np.linspace(0.6, 0.95, 8).tolist(), [0.6, 0.5, 0.7, 0.8, 0.75, 0.85, 0.84, 0.9])
    dice = [estimate.dice_of(expected) for expected in (0.65, 0.7, 0.75, 0.8, 0.85)]
    assert dice == sorted(set(dice))
    assert estimate.dice_of(0.625) == pytest.approx(0.55)  # the middle of the first step: the mean Dice of its images


def test_hardly_any_image_of_those_evaluated_on_is_unlike_them():
    estimate = calibrate(np.linspace(0.5, 0.9, 100).tolist(), [0.6] * 100)
    verdicts = [estimate.verdict(value) for value in np.linspace(0.5, 0.9, 100).tolist()]
    assert verdicts.count("unlike") <= 2
    assert estimate.verdict(0.3) == "unlike"


def rows(estimated, true):
    return [{"estimated_dice": one, "dice": other} for one, other in zip(estimated, true, strict=True)]


def test_an_estimate_that_is_right_scores_full_marks():
    scored = score_estimate(rows([0.5, 0.9, 0.7], [0.5, 0.9, 0.7]))
    assert scored == pytest.approx({"mae": 0, "spearman": 1, "auc_below_0.8": 1})


def test_what_is_not_defined_is_none():
    assert score_estimate(rows([0.9], [0.8])) == {"mae": pytest.approx(0.1), "spearman": None, "auc_below_0.8": None}
