from dataclasses import replace

import numpy as np
import pytest
from brightness import SIZE, brightness_model, write_samples

from unetseg.dataset.subsets import Truth
from unetseg.errors import InputError
from unetseg.evaluation.evaluation import choose, predict_subset, score
from unetseg.files import read_csv
from unetseg.prediction.predictor import Predictor


def subsets(folder, kinds):
    arrays, _, split = write_samples(folder, kinds)
    predictor = Predictor(brightness_model())
    made = [predict_subset(predictor, arrays, split, name=n, out=folder / n) for n in ("test", "validation")]
    return *made, Truth(arrays)


def evaluate(test, validation, truth, threshold=0.5):
    chosen, curve = choose(validation, truth, threshold)
    found = score(test, truth, chosen, bootstrap=100, seed=0)
    return found._replace(thresholds=[*curve, *found.thresholds])


def test_a_predicted_subset_lies_in_files_in_the_order_of_its_ids(tmp_path):
    test, validation, _ = subsets(tmp_path, ["test", "train", "test", "validation"])
    assert read_csv(tmp_path / "test" / "ids.csv") == [{"index": "0", "id": "s0"}, {"index": "1", "id": "s2"}]
    stored = np.load(tmp_path / "test" / "probabilities.npy", mmap_mode="r")
    np.testing.assert_array_equal(stored, test.probabilities)
    assert (stored.dtype, stored.shape) == (np.float32, (2, SIZE, SIZE))
    assert all(((image.probability > 0.5) == image.mask).all() for image in test)
    assert [row["id"] for row in validation.rows] == ["s3"]


LOW, HIGH = np.array([0.295, 0.305], np.float32), np.array([0.795, 0.805], np.float32)


def test_a_perfect_model_scores_1_in_everything(tmp_path):
    test, validation, truth = subsets(tmp_path, ["test", "test", "validation"])
    result = evaluate(test, validation, truth)
    assert [(row["id"], row["dice"], row["map"]) for row in result.per_image] == [("s0", 1, 1), ("s1", 1, 1)]
    assert result.summary["dice"]["mean"] == result.summary["objects"]["pq"] == result.summary["boundary_f1"] == 1
    assert result.summary["native"]["dice"]["mean"] > 0.9
    assert {(row["subset"], row["threshold"]) for row in result.thresholds} >= {("validation", 0.5), ("test", 0.99)}
    assert sum(row["count"] for row in result.reliability) == 2 * SIZE * SIZE


def test_no_image_of_objects_stays_in_memory_but_all_are_kept_in_a_file(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr("unetseg.evaluation.evaluation.reliability", lambda _tally: [])
    monkeypatch.setattr(
        "unetseg.evaluation.evaluation.summarise", lambda images, *_: seen.extend(images) or {"objects": {}}
    )
    test, validation, truth = subsets(tmp_path, ["test", "test", "validation"])
    evaluate(test, validation, truth)
    assert [image.drawn for image in seen] == [None, None]
    assert np.load(tmp_path / "test" / "objects.npy").max(axis=(1, 2)).tolist() == [1, 1]


def test_the_threshold_is_chosen_on_validation_and_never_on_test(tmp_path):
    test, validation, truth = subsets(tmp_path, ["test", "validation"])
    validation = replace(validation, probabilities=np.where(validation.probabilities > 0.5, LOW[1], LOW[0]))
    test = replace(test, probabilities=np.where(test.probabilities > 0.5, HIGH[1], HIGH[0]))  # all foreground at 0.3
    result = evaluate(test, validation, truth, threshold="validation")
    assert result.summary["threshold"] == 0.3
    assert result.summary["all_foreground"] == 1


def test_the_worst_image_comes_first(tmp_path):
    test, validation, truth = subsets(tmp_path, ["test"] * 3)
    others = np.array([True, False, True])[:, None, None]
    test = replace(test, probabilities=np.array(test.probabilities) * others)
    result = evaluate(test, validation, truth)
    assert [row["id"] for row in result.per_image] == ["s1", "s0", "s2"]
    assert result.summary["all_background"] == 1


def test_a_threshold_cannot_be_chosen_without_a_validation_image(tmp_path):
    test, validation, truth = subsets(tmp_path, ["test"])
    with pytest.raises(InputError, match="no validation image"):
        evaluate(test, validation, truth, threshold="validation")
