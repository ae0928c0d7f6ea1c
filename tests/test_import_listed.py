"""Import of JSON and tables of which a part cannot be used, as a whole."""

import json

import numpy as np
import pytest
from forms import png

from unetseg.annotations.regions import EMPTY
from unetseg.cli import main
from unetseg.dataset.forms import find_items

IMAGE = np.random.default_rng(0).integers(0, 256, (20, 20), np.uint8)
SQUARE = [[3, 3], [9, 3], [9, 9], [3, 9]]
POLYGONS = [np.ravel(SQUARE).tolist()]


def imported(folder, capsys):
    status = main(["import", str(folder), "--out", str(folder.parent / "a.zip")])
    printed = capsys.readouterr()
    lines = [line for line in printed.err.splitlines() if "import:" not in line and EMPTY not in line]
    return status, printed.out, lines


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


FAR = [[x + 400, y] for x, y in SQUARE]
THIN = [[1, 1], [1.2, 1], [1.2, 1.2]]
LOST = "has objects, of which none can be used: 1"
IMAGES = {"images": [{"id": 1, "file_name": "a.png"}]}
COCO = {"image_id": 1, "id": 1, "bbox": [3, 3, 6, 6], "segmentation": []}


def polygon(*rings):
    return {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": rings}}


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("c.json", IMAGES | {"annotations": [COCO]}, "instances that have a box only"),
        ("c.json", IMAGES | {"annotations": [COCO | {"segmentation": POLYGONS, "iscrowd": 1}]}, "crowds of instances"),
        ("a.geojson", {"features": [{"geometry": {"type": "Point"}}]}, "features that are no polygons"),
        ("a.json", {"shapes": [{"shape_type": "line", "points": SQUARE}]}, "shapes that are no areas"),
        ("c.csv", "ImageId,EncodedPixels\na,5 0\n", "run lengths without a pixel"),
    ],
)
def test_an_image_of_which_no_object_can_be_used_is_a_problem_and_no_image_without_objects(
    tmp_path, capsys, name, content, reason
):
    png(tmp_path / "x" / "a.png", IMAGE)
    png(tmp_path / "y" / "b.png", IMAGE)
    (tmp_path / "y" / "b.json").write_text(json.dumps({"shapes": []}))
    (tmp_path / "x" / name).write_text(content if isinstance(content, str) else json.dumps(content))
    sources = [str(tmp_path / folder) for folder in "xy"]
    assert main(["import", *sources, "--out", str(tmp_path / "a.zip")]) == 1
    printed = capsys.readouterr()
    assert f"{tmp_path}/x/a.png: {LOST} {reason}\n" in printed.err
    assert "1 images with 0 objects" in printed.out
    with pytest.raises(SystemExit):
        main(["import", *sources, "--out", str(tmp_path / "b.zip"), "--strict"])
    assert not (tmp_path / "b.zip").exists()


def test_what_is_left_out_is_told_with_the_first_image_and_the_number_of_others(tmp_path, capsys):
    for name in "abc":
        png(tmp_path / "x" / f"{name}.png", IMAGE)
        features = [polygon(SQUARE), *([polygon(THIN), polygon(THIN)] if name != "a" else [])]
        (tmp_path / "x" / f"{name}.geojson").write_text(json.dumps({"features": features}))
    status, out, err = imported(tmp_path / "x", capsys)
    assert (status, err) == (0, [])
    assert "; left out: 4 polygons without a pixel in the image (in b and 1 more)\n" in out


def classified(*names):
    return {"features": [polygon(SQUARE) | {"properties": {"classification": name}} for name in names]}


def labelled(*labels):
    return {"shapes": [{"points": SQUARE, "label": label} for label in labels]}


NAMED = IMAGES | {"categories": [{"id": 1, "name": "nucleus"}, {"id": 2, "name": "cell"}]}
INSTANCES = [COCO | {"segmentation": POLYGONS, "category_id": number} for number in (1, "2", 2)]
MERGED = "objects of 2 classes taken as one kind: cell 2, nucleus 1\n"


@pytest.mark.parametrize(
    ("name", "content", "line"),
    [
        ("c.json", NAMED | {"annotations": INSTANCES}, MERGED),
        ("c.json", IMAGES | {"annotations": INSTANCES}, "kind: category 2 2, category 1 1\n"),
        ("a.json", labelled("cell", "nucleus", "cell"), MERGED),
        ("a.geojson", classified({"name": "cell"}, {"names": ["cell"]}, "nucleus"), MERGED),
        ("a.geojson", classified({"name": "cell"}, None), "of 2 classes taken as one kind: cell 1, no class 1\n"),
        ("c.csv", "ImageId,EncodedPixels,ClassId\na,1 5,cell\na,7 5,cell\na,1 9,nucleus\n", MERGED),
    ],
)
def test_classes_that_become_one_kind_of_object_are_told_with_their_counts(tmp_path, capsys, name, content, line):
    png(tmp_path / "x" / "a.png", IMAGE)
    (tmp_path / "x" / name).write_text(content if isinstance(content, str) else json.dumps(content))
    status, out, err = imported(tmp_path / "x", capsys)
    assert (status, err) == (0, [])
    assert line in out


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.json", labelled("cell", "_background_", "__ignore__")),
        ("a.geojson", classified({"name": "cell"}, {"name": "Ignore*"}, {"names": ["Region*"]})),
    ],
)
def test_classes_that_the_program_ignores_are_left_out_and_one_class_is_not_told(tmp_path, capsys, name, content):
    png(tmp_path / "x" / "a.png", IMAGE)
    (tmp_path / "x" / name).write_text(json.dumps(content))
    status, out, _ = imported(tmp_path / "x", capsys)
    assert status == 0
    assert "1 images with 1 objects" in out
    assert "left out: 2 objects of classes to ignore (in a)" in out
    assert "one kind" not in out
    key = next(iter(content))
    (tmp_path / "x" / name).write_text(json.dumps({key: content[key][1:]}))
    assert imported(tmp_path / "x", capsys)[0] == 0


def test_an_instance_of_an_unknown_category_is_a_problem_of_its_image(tmp_path, capsys):
    png(tmp_path / "x" / "a.png", IMAGE)
    png(tmp_path / "x" / "b.png", IMAGE)
    content = NAMED | {"annotations": [INSTANCES[0] | {"category_id": 99}]}
    content["images"] = [*content["images"], {"id": 2, "file_name": "b.png"}]
    (tmp_path / "x" / "c.json").write_text(json.dumps(content))
    status, out, err = imported(tmp_path / "x", capsys)
    assert (status, len(err)) == (1, 1)
    assert "c.json: a.png: annotation 1 cannot be used (its category_id is 99, which is of no category" in err[0]
    assert "1 images" in out


def test_labelmes_json_with_sorted_keys_is_known_by_its_picture_before_the_shapes(tmp_path, capsys):
    png(tmp_path / "x" / "a.png", IMAGE)
    content = {"imageData": "A" * 100_000, "shapes": [{"points": SQUARE}]}
    (tmp_path / "x" / "a.json").write_text(json.dumps(content, sort_keys=True))
    status, out, err = imported(tmp_path / "x", capsys)
    assert (status, err) == (0, [])
    assert "1 images with 1 objects" in out


def test_a_labelme_file_that_states_another_image_that_is_there_is_a_warning(tmp_path, capsys):
    for name, stated in (("a", "..\\x\\b.png"), ("b", "b.png"), ("c", "was_renamed.png"), ("d", None)):
        png(tmp_path / "x" / f"{name}.png", IMAGE)
        content = {"shapes": [{"points": SQUARE}], "imagePath": stated}
        (tmp_path / "x" / f"{name}.json").write_text(json.dumps(content))
    status, _, err = imported(tmp_path / "x", capsys)
    told = "its imagePath is '..\\\\x\\\\b.png', but its name pairs it with"
    assert (status, len(err)) == (0, 1)
    assert err[0].startswith(f"warning: {tmp_path}/x/a.json: {told} {tmp_path}/x/a.png;")


@pytest.mark.parametrize(
    ("counts", "objects", "warning"),
    [
        ([0, 8, 8, 8, 40], 1, "1 crowds of instances (in a): left out, so that their pixels are background"),
        ([0, 8, 56], 2, "1 crowds of one connected part (in a): taken as objects, as CVAT means them"),
    ],
)
def test_a_warning_counts_the_crowds_that_were_taken_or_left_out(tmp_path, capsys, counts, objects, warning):
    png(tmp_path / "x" / "a.png", np.zeros((8, 8), np.uint8))
    crowd = {"image_id": 1, "iscrowd": 1, "segmentation": {"size": [8, 8], "counts": counts}}
    single = {"image_id": 1, "segmentation": [[4, 4, 8, 4, 8, 8]]}
    content = {"images": [{"id": 1, "file_name": "a.png"}], "annotations": [single, crowd], "categories": []}
    (tmp_path / "x" / "c.json").write_text(json.dumps(content))
    assert main(["import", str(tmp_path / "x"), "--out", str(tmp_path / "a.zip")]) == 0
    printed = capsys.readouterr()
    assert f"warning: {warning}\n" in printed.err
    assert f"1 images with {objects} objects" in printed.out
    assert "left out" not in printed.out


@pytest.mark.parametrize(("inside", "outside"), [(0, 1), (1, 1), (2, 1)])
def test_outlines_outside_the_image_are_a_warning_and_a_problem_where_they_are_as_many(
    tmp_path, capsys, inside, outside
):
    for name, shapes in (("a", [SQUARE] * inside + [FAR] * outside), ("b", [SQUARE])):
        png(tmp_path / "x" / f"{name}.png", IMAGE)
        features = [polygon(shape) for shape in shapes]
        (tmp_path / "x" / f"{name}.geojson").write_text(json.dumps({"features": features}))
    status, _, err = imported(tmp_path / "x", capsys)
    problem = f"of 20x20 pixels, {inside} inside; were they drawn on another size of it?"
    warning = "warning: 1 outlines wholly outside the image (in a): left out; they may belong to another size"
    assert status == (inside <= outside)
    assert (problem if status else warning) in "".join(err)
