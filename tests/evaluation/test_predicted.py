import numpy as np

from unetseg.evaluation.predicted import PredictedSubset


def test_a_subset_gives_each_image_its_own_truth_and_probability():
    labels = np.arange(3, dtype=np.uint16)[:, None, None] * np.ones((2, 2), np.uint16)
    probabilities = np.stack([np.full((2, 2), value, np.float32) for value in (0.9, 0.1)])
    subset = PredictedSubset(
        "test", [{"index": "2"}, {"index": "0"}], (labels > 0).astype(np.uint8), labels, probabilities
    )
    first, second = subset
    assert len(subset) == 2
    assert (first.mask.all(), first.labels[0, 0], first.probability[0, 0]) == (True, 2, np.float32(0.9))
    assert (second.mask.any(), second.labels[0, 0], second.probability[0, 0]) == (False, 0, np.float32(0.1))
