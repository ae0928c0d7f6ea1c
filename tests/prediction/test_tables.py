from dataclasses import replace

import numpy as np
import pytest

from unetseg.files import read_csv
from unetseg.objects.strips import number_objects
from unetseg.prediction.records import read_record, write_record
from unetseg.prediction.tables import write_objects

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
