import numpy as np
import pytest

from unetseg.evaluation.calibration import calibrate, score_estimate
from unetseg.prediction.quality import Estimate


def test_the_mean_estimate_of_the_validation_images_is_their_mean_dice():
    stability = np.linspace(0.6, 0.95, 30)
    estimate = calibrate(stability.tolist(), (stability - 0.1).tolist())
    assert np.mean([estimate.dice_of(value) for value in stability.tolist()]) == pytest.approx(
        np.mean(stability - 0.1), abs=1e-4
    )
    assert estimate.dice_of(0.0) == 0
    assert estimate.dice_of(0.8) < estimate.dice_of(0.81)


def test_no_model_is_taken_to_be_better_than_its_predictions_are_steady():
    assert calibrate([0.7] * 8, [0.9] * 8).dice_of(0.7) == pytest.approx(0.7)


def test_with_few_images_the_stability_is_taken_as_it_is():
    assert calibrate([0.9, 0.8], [0.1, 0.2]) == Estimate()


@pytest.mark.parametrize("stability", [0.0, 0.5, 1.0])
def test_where_nothing_was_found_right_the_estimate_is_0(stability):
    estimate = calibrate([stability] * 8, [0.0] * 8)
    assert [estimate.dice_of(value) for value in (0.0, stability)] == [0, 0]


def test_hardly_any_image_of_those_evaluated_on_is_unlike_them():
    estimate = calibrate(np.linspace(0.5, 0.9, 100).tolist(), [0.6] * 100)
    verdicts = [estimate.verdict(value) for value in np.linspace(0.5, 0.9, 100).tolist()]
    assert verdicts.count("unlike") <= 2
    assert estimate.verdict(0.3) == "unlike"


def rows(estimated, true):
    return [{"estimated_dice": one, "dice_native": other} for one, other in zip(estimated, true, strict=True)]


def test_an_estimate_that_is_right_scores_full_marks():
    scored = score_estimate(rows([0.5, 0.9, 0.7], [0.5, 0.9, 0.7]))
    assert scored == pytest.approx({"mae": 0, "spearman": 1, "auc_below_0.8": 1})


def test_what_is_not_defined_is_none():
    assert score_estimate(rows([0.9], [0.8])) == {"mae": pytest.approx(0.1), "spearman": None, "auc_below_0.8": None}
