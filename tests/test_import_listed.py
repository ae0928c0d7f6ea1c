"""Import of JSON and tables of which a part cannot be used, as a whole."""

import json

import numpy as np
import pytest
from forms import png

from unetseg.cli import main
from unetseg.dataset.forms import find_items

IMAGE = np.random.default_rng(0).integers(0, 256, (20, 20), np.uint8)
SQUARE = [[3, 3], [9, 3], [9, 9], [3, 9]]
POLYGONS = [np.ravel(SQUARE).tolist()]


def imported(folder, capsys):
    status = main(["import", str(folder), "--out", str(folder.parent / "a.zip")])
    printed = capsys.readouterr()
    return status, printed.out, [line for line in printed.err.splitlines() if "import:" not in line]


@pytest.mark.parametrize(
    ("annotation", "problem"),
    [
        (
            {"image_id": 7, "segmentation": POLYGONS},
            "1 annotations are of no image that it lists, first 9",
        ),
        ({"image_id": 2}, "b.png: annotation 9 cannot be used (its segmentation is None"),
    ],
)
def test_an_annotation_that_cannot_be_used_is_told_and_costs_no_other_image(tmp_path, capsys, annotation, problem):
    for name in "ab":
        png(tmp_path / "x" / f"{name}.png", IMAGE)
    images = [{"id": number, "file_name": f"{name}.png"} for number, name in ((1, "a"), (2, "b"))]
    sound = {"id": 8, "image_id": 1, "segmentation": POLYGONS}
    content = {"images": images, "annotations": [sound, annotation | {"id": 9}]}
    (tmp_path / "x" / "c.json").write_text(json.dumps(content))
    status, out, err = imported(tmp_path / "x", capsys)
    assert status == 1
    assert len(err) == 1
    assert err[0].startswith(f"{tmp_path}/x/c.json: {problem}")
    assert " with 1 objects" in out


@pytest.mark.parametrize(
    ("name", "content"),
    [("b.geojson", b'{"type": "Point"'), ("b.json", '\ufeff{"features": []}'.encode("utf-16-le"))],
)
def test_geojson_is_known_by_its_suffix_or_in_utf_16_by_its_words_and_may_hold_nothing(tmp_path, name, content):
    for stem in "ab":
        png(tmp_path / f"{stem}.png", IMAGE)
    (tmp_path / "a.geojson").write_text("[]")
    (tmp_path / name).write_bytes(content)
    found = find_items(tmp_path)
    assert [item.name for item in found.items] == ["a", "b"]
    assert found.items[0].read(20, 20).regions == []


def test_labelmes_json_with_sorted_keys_is_known_by_its_picture_before_the_shapes(tmp_path, capsys):
    png(tmp_path / "x" / "a.png", IMAGE)
    content = {"imageData": "A" * 100_000, "shapes": [{"points": SQUARE}]}
    (tmp_path / "x" / "a.json").write_text(json.dumps(content, sort_keys=True))
    status, out, err = imported(tmp_path / "x", capsys)
    assert (status, err) == (0, [])
    assert "1 images with 1 objects" in out
