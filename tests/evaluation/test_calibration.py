import math

import numpy as np
import pytest
from sklearn.calibration import calibration_curve

from unetseg.evaluation.calibration import BINS, expected_calibration_error, reliability, tally
from unetseg.prediction.quality import uncertainty


def test_the_worked_example_by_hand():
    # bin 7 holds 0.5 (foreground) and 0.5 (background), bin 14 holds 1.0 (background) twice
    tallied = tally(np.array([[True, False, False, False]]), np.array([[0.5, 0.5, 1, 1]], np.float32))
    assert expected_calibration_error(tallied) == pytest.approx(2 / 4 * 0 + 2 / 4 * 1)
    rows = reliability(tallied)
    assert rows[7] == {"low": 7 / 15, "high": 8 / 15, "count": 2, "confidence": 0.5, "frequency": 0.5}
    assert rows[14] == {"low": 14 / 15, "high": 1.0, "count": 2, "confidence": 1.0, "frequency": 0.0}
    assert rows[0]["confidence"] is rows[0]["frequency"] is None


def test_the_reliability_curve_agrees_with_scikit_learn():
    rng = np.random.default_rng(0)
    probability = rng.random((64, 64), dtype=np.float32)
    truth = rng.random((64, 64)) < probability**2
    frequency, confidence = calibration_curve(truth.ravel(), probability.ravel(), n_bins=BINS)
    rows = reliability(tally(truth, probability))
    assert [row["frequency"] for row in rows] == pytest.approx(frequency)
    assert [row["confidence"] for row in rows] == pytest.approx(confidence)


def test_honest_probabilities_have_an_error_near_0():
    rng = np.random.default_rng(0)
    probability = rng.random((512, 512), dtype=np.float32)
    assert expected_calibration_error(tally(rng.random((512, 512)) < probability, probability)) < 0.005


def test_the_tallies_of_images_add_up_to_that_of_all_pixels():
    rng = np.random.default_rng(1)
    truth, probability = rng.random((2, 8, 8)) < 0.5, rng.random((2, 8, 8), dtype=np.float32)
    apart = sum(tally(*pair) for pair in zip(truth, probability, strict=True))
    np.testing.assert_allclose(apart, tally(truth.reshape(16, 8), probability.reshape(16, 8)))


@pytest.mark.parametrize(("probability", "bits"), [(0.5, 1.0), (0.0, 0.0), (1.0, 0.0), (0.25, 2 - 0.75 * math.log2(3))])
def test_uncertainty_is_the_binary_entropy(probability, bits):
    assert uncertainty(np.full((3, 4), probability, np.float32)) == pytest.approx(bits, abs=1e-5)
