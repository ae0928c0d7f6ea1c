import numpy as np

from unetseg.dataset.subsets import Subset, subset_rows
from unetseg.files import write_csv


def test_the_rows_of_a_subset_join_both_tables_in_the_order_of_the_arrays(tmp_path):
    samples, split = tmp_path / "samples.csv", tmp_path / "split.csv"
    write_csv(samples, [{"index": index, "id": name} for index, name in enumerate("abc")], ["index", "id"])
    rows = [{"id": "c", "subset": "test", "group": "g"}, {"id": "b", "subset": "train", "group": "h"}]
    write_csv(split, [*rows, {"id": "a", "subset": "test", "group": "g"}], ["id", "subset", "group"])
    assert subset_rows(samples, split, "test") == [
        {"id": "a", "subset": "test", "group": "g", "index": "0"},
        {"id": "c", "subset": "test", "group": "g", "index": "2"},
    ]
    assert subset_rows(samples, split, "validation") == []


def test_a_subset_gives_each_image_its_own_truth_and_probability():
    labels = np.arange(3, dtype=np.uint16)[:, None, None] * np.ones((2, 2), np.uint16)
    probabilities = np.stack([np.full((2, 2), value, np.float32) for value in (0.9, 0.1)])
    subset = Subset("test", [{"index": "2"}, {"index": "0"}], (labels > 0).astype(np.uint8), labels, probabilities)
    first, second = subset
    assert len(subset) == 2
    assert (first.mask.all(), first.labels[0, 0], first.probability[0, 0]) == (True, 2, np.float32(0.9))
    assert (second.mask.any(), second.labels[0, 0], second.probability[0, 0]) == (False, 0, np.float32(0.1))
