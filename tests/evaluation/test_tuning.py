import numpy as np
import pytest
from sklearn.metrics import f1_score

from unetseg.errors import InputError
from unetseg.evaluation.evaluation import Separation, best_separation, best_threshold, threshold_curve
from unetseg.evaluation.predicted import PredictedSubset
from unetseg.objects.separation import separated_objects


def subset(labels, probabilities, name="validation"):
    labels = np.asarray(labels, np.uint16)
    rows = [{"index": str(index)} for index in range(len(labels))]
    return PredictedSubset(name, rows, (labels > 0).astype(np.uint8), labels, np.asarray(probabilities, np.float32))


NOTHING = subset(np.zeros((0, 4, 4)), np.zeros((0, 4, 4)))


def test_the_curve_holds_the_mean_dice_over_images_at_each_threshold():
    rng = np.random.default_rng(0)
    labels, probabilities = rng.random((3, 8, 8)) < 0.5, rng.random((3, 8, 8), dtype=np.float32)
    curve = threshold_curve(subset(labels, probabilities))
    assert [row["threshold"] for row in curve] == pytest.approx(np.arange(1, 100) / 100)
    row = curve[29]
    pairs = zip(labels, probabilities >= np.float32(0.3), strict=True)
    assert (row["subset"], row["threshold"]) == ("validation", 0.3)
    assert row["dice"] == pytest.approx(np.mean([f1_score(*map(np.ravel, pair)) for pair in pairs]), abs=1e-9)


def test_the_best_threshold_has_the_best_dice():
    truth = np.zeros((1, 4, 4))
    truth[0, 0] = 1
    probability = np.where(truth, 0.305, 0.295)
    assert best_threshold(threshold_curve(subset(truth, probability))) == 0.3


def test_of_equal_thresholds_the_one_nearest_to_a_half_is_best():
    truth = np.eye(4)[None]
    assert best_threshold(threshold_curve(subset(truth, truth))) == 0.5


def test_without_validation_images_no_threshold_can_be_chosen():
    assert threshold_curve(NOTHING) == []
    with pytest.raises(InputError, match="give a number"):
        best_threshold([])


def two_disks(radius, distance):
    rows, columns = np.ogrid[:60, :60]
    disks = [(rows - 20) ** 2 + (columns - centre) ** 2 <= radius**2 for centre in (20, 20 + distance)]
    return np.where(disks[0], 1, np.where(disks[1], 2, 0))


@pytest.mark.parametrize("number", [1, 2])
def test_the_separation_that_finds_as_many_objects_as_the_labels_hold_is_chosen(number):
    labels = np.minimum(two_disks(9, 10), number)
    probability = (labels > 0).astype(np.float32)
    separation = best_separation(subset([labels], [probability]), 0.5)
    assert separated_objects(probability, 0.5, *separation).max() == number


def test_specks_that_are_no_objects_raise_the_smallest_size():
    labels = two_disks(9, 30)
    probability = (labels > 0).astype(float)
    probability[2, 2:14] = 1  # 12 pixels
    assert best_separation(subset([labels], [probability]), 0.5).min_size == 16


def test_without_validation_images_the_separation_is_the_default():
    assert best_separation(NOTHING, 0.5) == Separation(1.0, 8)
