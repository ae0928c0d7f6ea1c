from unetseg.dataset.subsets import subset_rows
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
