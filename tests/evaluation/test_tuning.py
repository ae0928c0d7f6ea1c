from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import f1_score

from unetseg.dataset.subsets import TRUTH, Truth, packed
from unetseg.errors import InputError
from unetseg.evaluation.evaluation import Separation, best_separation, best_threshold, choose, threshold_curve
from unetseg.evaluation.predicted import Natives, PredictedSubset
from unetseg.files import write_csv
from unetseg.objects.separation import separated_objects


def subset(labels, probabilities, name="validation"):
    labels = np.asarray(labels, np.uint16)
    rows = [{"index": str(index), "height": "60", "width": "60"} for index in range(len(labels))]
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


LABELS = np.stack([two_disks(9, 30)] * 8)


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


def natives(folder, labels, probabilities):
    """Predictions at the images' own size, as those of a model that sees them in tiles."""
    for index, probability in enumerate(probabilities):
        np.save(folder / f"{index}.npy", np.asarray(probability, np.float32))
    return Natives(folder, [1.0] * len(labels), lambda row: np.asarray(labels[int(row["index"])], np.uint16))


def seen_at_own_size(folder, labels, probability, shrunk):
    """One image that a model sees at its own size, and whose arrays are so many times smaller."""
    small = subset([labels[::shrunk, ::shrunk]], [probability[::shrunk, ::shrunk]])
    small.rows[0] |= {"height": str(len(labels)), "width": str(len(labels))}
    return replace(small, natives=natives(folder, [labels], [probability]))


def test_where_the_model_sees_images_at_their_own_size_the_separation_is_in_their_pixels(tmp_path):
    labels = np.kron(two_disks(9, 30), np.ones((2, 2), int))
    probability = (labels > 0).astype(np.float32)
    probability[2:4, 2:26] = 1  # 48 pixels, 12 of the arrays
    seen = seen_at_own_size(tmp_path, labels, probability, 2)
    assert best_separation(seen, 0.5) == Separation(2.0, 64)
    zoomed = replace(seen, natives=seen.natives._replace(zooms=[0.5]))
    assert best_separation(zoomed, 0.5) == Separation(1.0, 16)  # in what the model sees


def test_objects_that_the_arrays_are_too_small_for_are_separated_too(tmp_path):
    labels = two_disks(9, 14)
    probability = (labels > 0).astype(np.float32)
    assert best_separation(seen_at_own_size(tmp_path, labels, probability, 12), 0.5) == Separation(1.0, 8)


def test_the_threshold_is_chosen_at_the_size_that_is_predicted(tmp_path):
    labels = two_disks(9, 30)
    probability = np.where(labels, 0.8, 0.2).astype(np.float32)
    probability[::4, ::4] = 0.1  # all that the arrays show
    probability[1::4, 1::4] = np.where(labels, 0.8, 0.7)[1::4, 1::4]
    found = best_threshold(threshold_curve(seen_at_own_size(tmp_path, labels, probability, 4)))
    assert 0.7 < found <= 0.8


def test_without_validation_images_the_separation_is_the_default():
    assert best_separation(NOTHING, 0.5) == Separation(1.0, 8)


def truth(folder, labels):
    np.save(folder / TRUTH, np.concatenate([packed(each) for each in labels]))
    write_csv(folder / "samples.csv", [{"height": 60, "width": 60}] * len(labels), ("height", "width"))
    return Truth(folder)


UNSURE = np.where(LABELS, np.linspace(0.55, 0.95, 60), 0.1).astype(np.float32)
UNSURE[:, :20] = 0.1


def test_images_without_anything_predicted_do_not_count_in_the_calibration_of_the_estimate(tmp_path):
    alone = choose(subset(LABELS, UNSURE), truth(tmp_path, LABELS), 0.5)[0].estimate
    empty = np.zeros_like(LABELS), np.full_like(UNSURE, 0.1)
    labels, probabilities = (np.concatenate(pair) for pair in zip((LABELS, UNSURE), empty, strict=True))
    assert choose(subset(labels, probabilities), truth(tmp_path, labels), 0.5)[0].estimate == alone
    assert (alone.factor > 1, alone.unlike > 0) == (True, True)


def test_the_estimate_is_calibrated_at_the_size_at_which_images_are_predicted(tmp_path):
    small = replace(subset(LABELS[:, ::2, ::2], np.ones((8, 30, 30))), natives=natives(tmp_path, LABELS, UNSURE))
    at_own_size = choose(subset(LABELS, UNSURE), truth(tmp_path, LABELS), 0.5)[0].estimate
    chosen = choose(small, truth(tmp_path, LABELS), 0.5)[0]
    assert (chosen.estimate, chosen.scale) == (at_own_size, "tiles")
