from dataclasses import replace

import numpy as np
import pytest

from unetseg.files import read_csv
from unetseg.objects.strips import FoundObject, Strip, number_objects
from unetseg.prediction.records import read_record, write_objects, write_record

SQUARE = FoundObject(label=1, row=0, column=4, mask=np.ones((2, 3), bool), probability=0.8)
CORNER = FoundObject(label=2, row=5, column=6, mask=np.array([[1, 1], [1, 0]], bool), probability=0.6)


def written(path, height=20, width=30, runs=False):
    with write_record(path, {"name": "a"}, height, width, 0.5, runs=runs) as add:
        for top, found, value in ((0, SQUARE, 0.5), (height // 2, CORNER, 1.0)):
            shape = (height // 2 if top == 0 else height - height // 2, width)
            add(Strip(top, np.full(shape, value, np.float32), np.zeros(shape, np.int32), [found]))
    return read_record(path)


def test_an_object_is_measured(tmp_path):
    square, corner = written(tmp_path / "a.jsonl").objects()
    assert square == {
        "label": 1, "area": 6, "centroid_row": 0.5, "centroid_column": 5.0, "top": 0, "left": 4, "bottom": 2,
        "right": 7, "mean_probability": 0.8, "touches_border": 1,
    }  # fmt: skip
    assert (corner["area"], corner["centroid_row"], corner["centroid_column"]) == (3, 5.333, 6.333)
    assert corner["touches_border"] == 0


def test_an_object_at_the_far_borders_touches_them(tmp_path):
    assert [found["touches_border"] for found in written(tmp_path / "a.jsonl", height=7).objects()] == [1, 1]
    assert [found["touches_border"] for found in written(tmp_path / "a.jsonl", width=8).objects()] == [1, 1]


def test_runs_are_kept_where_they_are_asked_for(tmp_path):
    square, _ = written(tmp_path / "a.jsonl", runs=True).objects()
    assert square["runs"] == [[80, 100, 120], [2, 2, 2]]
    assert all("runs" not in found for found in written(tmp_path / "a.jsonl").objects())


def test_the_header_comes_back(tmp_path):
    assert written(tmp_path / "a.jsonl").header == {"name": "a"}


def test_what_the_model_is_sure_of_comes_back(tmp_path):
    assert written(tmp_path / "a.jsonl", height=7).certainty() == pytest.approx(
        {"uncertainty": 3 / 7, "stability": 8 / 11}, abs=1e-3
    )


def test_a_missing_or_damaged_record_is_none(tmp_path):
    assert read_record(tmp_path / "a.jsonl") is None
    for damage in (b"", b"{", b"[1]", b"\xff"):
        (tmp_path / "a.jsonl").write_bytes(damage)
        assert read_record(tmp_path / "a.jsonl") is None


LABELS = np.zeros((12, 14), np.int32)
LABELS[2:8, 3:9] = 1
LABELS[4:6, 5:7] = 0
LABELS[10, 12] = 2


@pytest.fixture
def records(tmp_path):
    """Of an image with a ring and a dot, one without objects, and one with the dot alone."""
    made = []
    for name, labels in (("x/a", LABELS), ("b", LABELS * 0), ("c", (LABELS == 2).astype(np.int32))):
        path = tmp_path / f"{len(made)}.jsonl"
        header = {"name": name, "image": f"{name}.tif", "plane": None, "height": 12, "width": 14, "pixel": None}
        (strip,) = number_objects([np.full((12, 14), 0.75, np.float32)], 12, lambda _, labels=labels: labels, 0.5)
        with write_record(path, header, 12, 14, 0.5, runs=True) as add:
            add(strip)
        made.append(read_record(path))
    return made


def test_objects_have_a_row_each(tmp_path, records):
    write_objects(tmp_path / "objects.csv", records)
    rows = read_csv(tmp_path / "objects.csv")
    assert [(row["image"], row["label"], row["area"]) for row in rows] == [
        ("x/a.tif", "1", "32"),
        ("x/a.tif", "2", "1"),
        ("c.tif", "1", "1"),
    ]
    assert rows[0]["area_um2"] == rows[0]["pixel_height_um"] == rows[0]["plane"] == ""


def test_areas_are_given_in_microns_where_the_image_says_how_large_its_pixels_are(tmp_path, records):
    scaled = replace(records[0], header=records[0].header | {"pixel": [0.5, 0.25], "plane": 3})
    write_objects(tmp_path / "objects.csv", [scaled])
    row = read_csv(tmp_path / "objects.csv")[0]
    assert (row["pixel_height_um"], row["pixel_width_um"], row["area_um2"], row["plane"]) == ("0.5", "0.25", "4.0", "3")


def test_the_area_of_small_pixels_has_as_many_digits_as_that_of_large_ones(tmp_path, records):
    write_objects(tmp_path / "objects.csv", [replace(records[0], header=records[0].header | {"pixel": [1e-4, 1e-4]})])
    assert [float(row["area_um2"]) for row in read_csv(tmp_path / "objects.csv")] == [3.2e-7, 1e-8]
