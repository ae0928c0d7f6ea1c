import numpy as np
import pydantic
import pytest

from unetseg.prediction.quality import Estimate, expected_dice, overlap, stability, steadiness, uncertainty


def test_a_certain_prediction_is_expected_to_be_right():
    certain = np.zeros((4, 4), np.float32)
    certain[:2] = 1
    assert expected_dice(overlap(certain, 0.5)) == 1
    assert uncertainty(certain) == pytest.approx(0, abs=1e-4)


def test_the_expected_dice_is_the_mean_over_the_masks_that_the_probabilities_allow():
    probability = np.full((50, 50), 0.05, np.float32)
    probability[:20] = 0.8
    mask, rng = probability >= 0.5, np.random.default_rng(0)
    draws = [rng.random((50, 50)) < probability for _ in range(200)]
    dice = np.mean([2 * (draw & mask).sum() / (draw.sum() + mask.sum()) for draw in draws])
    assert expected_dice(overlap(probability, 0.5)) == pytest.approx(dice, abs=0.005)


def test_the_parts_of_an_image_add_up():
    probability = np.random.default_rng(0).random((20, 30), np.float32)
    np.testing.assert_allclose(
        overlap(probability[:7], 0.5) + overlap(probability[7:], 0.5), overlap(probability, 0.5), rtol=1e-6
    )


def test_of_nothing_found_nothing_is_expected():
    assert expected_dice(overlap(np.full((3, 3), 0.4, np.float32), 0.5)) == 0


@pytest.mark.parametrize(
    ("threshold", "dice"), [(0.5, 2 * 3 / (3 + 5)), (0.9, 2 * 1 / (1 + 2)), (0.1, 2 * 5 / (5 + 7)), (0.99, 0)]
)
def test_a_prediction_is_steady_if_other_thresholds_give_the_same_mask(threshold, dice):
    probability = np.array([[0.01, 0.06, 0.1, 0.31, 0.45, 0.72, 0.8, 0.97]], np.float32)
    assert stability(steadiness(probability, threshold)) == pytest.approx(dice)
    halves = steadiness(probability[:, :3], threshold) + steadiness(probability[:, 3:], threshold)
    assert stability(halves) == stability(steadiness(probability, threshold))


def test_a_certain_mask_is_steady_and_an_empty_one_is_not():
    assert stability(steadiness(np.eye(4, dtype=np.float32), 0.5)) == 1
    assert stability(steadiness(np.zeros((4, 4), np.float32), 0.5)) == 0


@pytest.mark.parametrize(("stable", "verdict"), [(0.85, "fine"), (0.7, "look"), (0.4, "unlike")])
def test_the_verdict_follows_from_the_estimate(stable, verdict):
    assert Estimate().verdict(stable) == verdict


@pytest.mark.parametrize("values", [{"factor": 0.9}, {"factor": float("inf")}, {"expected": [0.0, 1.0]}])
def test_an_estimate_of_another_form_is_refused(values):
    with pytest.raises(pydantic.ValidationError):
        Estimate.model_validate(values)
