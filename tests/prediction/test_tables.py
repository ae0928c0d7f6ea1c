import json
from dataclasses import replace

import numpy as np
import pytest
from pycocotools.coco import COCO

from unetseg.files import read_csv
from unetseg.objects.strips import number_objects
from unetseg.prediction.records import read_record, write_record
from unetseg.prediction.tables import write_bowl, write_coco, write_objects

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
        with write_record(path, header, 12, 14, runs=True) as add:
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


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # pycocotools under NumPy 2
def test_pycocotools_reads_the_objects_back_to_the_pixel(tmp_path, records, capsys):
    write_coco(tmp_path / "coco.json", records)
    coco = COCO(str(tmp_path / "coco.json"))
    capsys.readouterr()
    assert [image["file_name"] for image in coco.loadImgs(coco.getImgIds())] == ["x/a.tif", "b.tif", "c.tif"]
    ring, dot = coco.loadAnns(coco.getAnnIds(imgIds=1))
    assert np.array_equal(coco.annToMask(ring) + 2 * coco.annToMask(dot), LABELS)
    assert ring["bbox"] == [3, 2, 6, 6]
    assert coco.getAnnIds(imgIds=2) == []
    assert sorted(coco.getAnnIds()) == [1, 2, 3]


def test_coco_of_nothing_is_json(tmp_path):
    write_coco(tmp_path / "coco.json", [])
    assert json.loads((tmp_path / "coco.json").read_text())["annotations"] == []


def test_the_bowls_rows_decode_to_the_objects_and_name_images_without_any(tmp_path, records):
    write_bowl(tmp_path / "rle.csv", records)
    rows = read_csv(tmp_path / "rle.csv")
    assert [row["ImageId"] for row in rows] == ["a", "a", "b", "c"]
    assert rows[2]["EncodedPixels"] == ""
    numbers = [int(word) for word in rows[0]["EncodedPixels"].split()]
    decoded = np.zeros(LABELS.size, int)
    for start, length in zip(numbers[::2], numbers[1::2], strict=True):
        decoded[start - 1 : start - 1 + length] = 1
    assert np.array_equal(decoded.reshape(LABELS.shape, order="F"), LABELS == 1)


def test_images_of_one_name_in_two_folders_are_told_apart_in_the_bowls_rows(tmp_path, records):
    other = replace(records[2], header=records[2].header | {"name": "y/a"})
    write_bowl(tmp_path / "rle.csv", [records[0], other])
    assert {row["ImageId"] for row in read_csv(tmp_path / "rle.csv")} == {"x/a", "y/a"}
