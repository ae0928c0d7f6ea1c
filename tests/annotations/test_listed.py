import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from labelled import painted, ring_and_dot
from pycocotools import mask as pycoco
from pycocotools.coco import COCO

from unetseg.annotations.coco import read_coco, write_coco
from unetseg.annotations.regions import CROWDS, EMPTY, SINGLE
from unetseg.annotations.runs import find_runs, read_bowl, write_bowl
from unetseg.errors import InputError
from unetseg.files import read_csv

LABELS = ring_and_dot()


@dataclass(frozen=True)
class Image:
    """An image as the formats for many images are written from it."""

    header: dict[str, Any]
    labels: np.ndarray

    def objects(self) -> Iterator[dict[str, Any]]:
        for label in range(1, self.labels.max() + 1):
            mask = self.labels == label
            rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
            box = {"top": rows[0], "left": columns[0], "bottom": rows[-1] + 1, "right": columns[-1] + 1}
            found = {"label": label, "area": mask.sum(), **box}
            yield {
                **{name: int(value) for name, value in found.items()},
                "mean_probability": 0.75,
                "runs": [part.tolist() for part in find_runs(mask, 0, 0, len(mask))],
            }


@pytest.fixture
def records():
    """An image with a ring and a dot, one without objects, and one with the dot alone."""
    size = {"plane": None, "height": 12, "width": 14}
    return [
        Image({"name": name, "image": f"{name}.tif", **size}, labels)
        for name, labels in (("x/a", LABELS), ("b", LABELS * 0), ("c", (LABELS == 2).astype(np.int32)))
    ]


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


@pytest.mark.parametrize(("write", "read"), [(write_coco, read_coco), (write_bowl, read_bowl)])
def test_what_was_written_is_read_back_to_the_pixel(tmp_path, records, write, read):
    write(tmp_path / "all", records)
    found = read(tmp_path / "all")
    assert found.problems == []
    for record, each in zip(records, found.readers.values(), strict=True):
        assert np.array_equal(painted(each(12, 14), (12, 14)), record.labels)
        assert each(12, 14).left_out == ({EMPTY: 1} if write is write_coco and not record.labels.any() else {})


def test_names_that_a_spreadsheet_would_take_for_formulas_are_read_back(tmp_path, records):
    names = ["-neg", "=sum", "'=quoted"]
    named = [replace(records[0], header=records[0].header | {"name": name, "image": f"{name}.png"}) for name in names]
    write_bowl(tmp_path / "rle.csv", named)
    assert [*read_bowl(tmp_path / "rle.csv").readers] == names


def coco_of(*segmentations, size=(12, 14)):
    image = {"id": 7, "file_name": "a.png", "height": size[0], "width": size[1]}
    annotations = [{"id": number, "image_id": 7, "segmentation": each} for number, each in enumerate(segmentations)]
    return json.dumps({"images": [image], "annotations": annotations, "categories": []})


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_compressed_counts_are_read_as_pycocotools_packs_them(tmp_path):
    masks = [LABELS == 1, np.random.default_rng(0).random((12, 14)) < 0.4]
    packed = [pycoco.encode(np.asfortranarray(mask.astype(np.uint8))) for mask in masks]
    packed = [{"size": [12, 14], "counts": each["counts"].decode()} for each in packed]
    (tmp_path / "a.json").write_text(coco_of(*packed))
    found = read_coco(tmp_path / "a.json").readers["a.png"](12, 14).regions
    for (row, column, mask), expected in zip(found, masks, strict=True):
        whole = np.zeros((12, 14), bool)
        whole[row : row + mask.shape[0], column : column + mask.shape[1]] = mask
        assert np.array_equal(whole, expected)


def test_polygons_of_one_instance_are_parts_of_one_object(tmp_path):
    (tmp_path / "a.json").write_text(coco_of([[1, 1, 4, 1, 4, 3, 1, 3], [8, 8, 10, 8, 10, 10, 8, 10]]))
    expected = np.zeros((12, 14))
    expected[1:3, 1:4] = expected[8:10, 8:10] = 1
    assert np.array_equal(painted(read_coco(tmp_path / "a.json").readers["a.png"](12, 14), (12, 14)), expected)


@pytest.mark.parametrize(
    ("segmentation", "rule"),
    [
        ({"size": [3, 3], "counts": [0, 9]}, "has the size"),
        ({"size": [12, 14], "counts": [0, 999]}, "add up to the 168 pixels"),
        ({"size": [12, 14], "counts": [100, 30]}, "add up to the 168 pixels"),
        ({"size": [12, 14], "counts": [0, -2, 170]}, "not whole numbers"),
        ({"size": [12, 14], "counts": [0.5, 167.5]}, "not whole numbers"),
        ({"size": [12, 14], "counts": [float("inf")]}, "not whole numbers"),
        ({"size": [12, 14], "counts": [10**400]}, "add up to the 168 pixels"),
        ({"size": [12, 14], "counts": None}, "not whole numbers"),
        ({"size": [12, 14], "counts": "o"}, "cut off"),
        ({"size": [12, 14], "counts": "\xff\xff"}, "hold 'ÿ' where none of COCO's digits"),
        ({"size": [12, 14], "counts": "o" * 10_000}, "hold 'o' where none of COCO's digits"),
        ({"counts": [0, 168]}, "size"),
        ({"size": 3, "counts": [0, 168]}, "has the size 3, the image 12x14"),
        ([[10**400, 1, 1, 2, 3, 4]], "its polygon 1 is .*, not x and y of each corner"),
        ([[1, 1, 4, 1, 4, 3], [1, 1, 4, 1, 4]], "its polygon 2 is .*1, 1, 4, 1, 4.*, not x and y of each corner"),
        ([1, 1, 4, 1, 4], "its polygon 1 is .*1, 1, 4, 1, 4.*, not x and y of each corner"),
        ([[[1, 1], [4]]], "its polygon 1 is .*, not x and y of each corner"),
        (None, "its segmentation is None, neither polygons nor run lengths"),
    ],
)
def test_what_is_wrong_with_an_instance_is_told_with_the_image(tmp_path, segmentation, rule):
    (tmp_path / "a.json").write_text(coco_of(segmentation))
    with pytest.raises(InputError, match=f"a.json: a.png: annotation 0 .*{rule}") as caught:
        read_coco(tmp_path / "a.json").readers["a.png"](12, 14)
    assert len(str(caught.value).splitlines()) == 1


def test_an_image_of_another_size_than_coco_says_is_refused(tmp_path):
    (tmp_path / "a.json").write_text(coco_of())
    with pytest.raises(InputError, match=r"a.png: is 12x14 there, its file 24x28"):
        read_coco(tmp_path / "a.json").readers["a.png"](24, 28)


@pytest.mark.parametrize(("height", "shown"), [("tall", "tall"), ([12], r"\[12\]"), (10**400, "10000000000000000000")])
def test_a_height_that_coco_does_not_state_as_a_number_is_shown(tmp_path, height, shown):
    (tmp_path / "a.json").write_text(coco_of(size=(height, 14)))
    with pytest.raises(InputError, match=rf"a.png: is {shown}x14 there, its file 12x14$"):
        read_coco(tmp_path / "a.json").readers["a.png"](12, 14)


@pytest.mark.parametrize("size", [("12", "14"), (12.0, 14.0), (None, None)])
def test_a_size_that_coco_states_as_text_or_not_at_all_is_that_of_the_image(tmp_path, size):
    (tmp_path / "a.json").write_text(coco_of([[1, 1, 4, 1, 4, 3, 1, 3]], size=size))
    assert len(read_coco(tmp_path / "a.json").readers["a.png"](12, 14).regions) == 1


def write_images(path, images, owners):
    """Write COCO with one square for each of the images that own one."""
    square = [[1, 1, 4, 1, 4, 3, 1, 3]]
    annotations = [{"id": 50 + n, "image_id": owner, "segmentation": square} for n, owner in enumerate(owners)]
    path.write_text(json.dumps({"images": images, "annotations": annotations}))
    return read_coco(path)


@pytest.mark.parametrize(
    ("twins", "rule"),
    [
        ([{"id": 1, "file_name": "a.png"}, {"id": 2, "file_name": "a.png"}], "is the file_name of 2 images"),
        ([{"id": 1, "file_name": "a.png"}, {"id": 1, "file_name": "b.png"}], "has the id 1, as another image has"),
        ([{"id": n, "file_name": "a.png", "plane": n} for n in (1, 2)], "an entry per plane; import the folder"),
    ],
)
def test_images_that_share_a_name_or_id_are_refused_and_the_others_are_not(tmp_path, twins, rule):
    found = write_images(tmp_path / "a.json", [*twins, {"id": 9, "file_name": "c.png"}], [1, 2, 9])
    for name in {each["file_name"] for each in twins}:
        with pytest.raises(InputError, match=f"a.json: {name}: .*{rule}"):
            found.readers[name](12, 14)
    assert len(found.readers["c.png"](12, 14).regions) == 1


def test_the_planes_of_a_stack_that_was_written_are_not_mixed_when_read(tmp_path, records):
    planes = [replace(each, header=each.header | {"image": "s.tif", "plane": n}) for n, each in enumerate(records)]
    write_coco(tmp_path / "coco.json", planes)
    with pytest.raises(InputError, match=r"s.tif: has an entry per plane"):
        read_coco(tmp_path / "coco.json").readers["s.tif"](12, 14)


def test_annotations_of_no_image_are_a_problem_and_the_others_are_read(tmp_path):
    found = write_images(tmp_path / "a.json", [{"id": 1, "file_name": "a.png"}], [77, 1, 78])
    assert found.problems == [
        f"{tmp_path / 'a.json'}: 2 annotations are of no image that it lists, first 50, of image 77"
    ]
    assert len(found.readers["a.png"](12, 14).regions) == 1


def test_a_polygon_written_alone_or_in_pairs_is_one_and_a_part_without_an_area_is_counted(tmp_path):
    pairs, alone = [[1, 1], [4, 1], [4, 3], [1, 3]], [1, 1, 4.0, 1, 4, 3, 1, 3]  # alone: VGG Image Annotator
    (tmp_path / "a.json").write_text(coco_of(pairs, [pairs], alone, [[1, 1, 4, 1], [1, 1, 4, 1, 4, 3, 1, 3]]))
    found = read_coco(tmp_path / "a.json").readers["a.png"](12, 14)
    assert [region.mask.sum() for region in found.regions] == [6, 6, 6, 6]
    assert found.left_out == {"parts of under 3 corners": 1}


def test_rows_that_the_bowl_ignored_are_counted_and_an_example_of_a_submission_is_refused(tmp_path):
    rows = "a,1 2,Private", "b,1 1,Ignored", "c,1 1,Ignored"
    (tmp_path / "s.csv").write_text("\n".join(["ImageId,EncodedPixels,Usage", *rows, ""]))
    table = read_bowl(tmp_path / "s.csv")
    assert ([*table.readers], table.problems) == (["a"], [])
    assert table.left_out == {"rows of run lengths whose Usage is Ignored": 2}
    (tmp_path / "s.csv").write_text("ImageId,EncodedPixels\na,1 1\nb,1 1\n")
    with pytest.raises(InputError, match=r"s\.csv: names the first pixel of each of its 2 images, as an example"):
        read_bowl(tmp_path / "s.csv")


def test_a_column_of_row_numbers_without_a_name_is_no_size(tmp_path):
    (tmp_path / "s.csv").write_text(",ImageId,EncodedPixels\n0,a,1 2\n7,a,9 3\n")
    (read,) = read_bowl(tmp_path / "s.csv").readers.values()
    assert len(read(20, 20).regions) == 2


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        ([], "it is .*, no object of JSON"),
        ({"images": [], "annotations": None}, "its annotations are None, no list"),
        ({"images": [], "annotations": ["x"]}, "number 1 of its annotations is 'x', no object of JSON"),
        ({"images": [{}, 3], "annotations": []}, "number 2 of its images is 3, no object of JSON"),
    ],
)
def test_what_is_wrong_with_a_list_of_coco_is_told_by_its_number(tmp_path, content, rule):
    (tmp_path / "a.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match=rf"is not COCO JSON with images and annotations \({rule}\)"):
        read_coco(tmp_path / "a.json")


@pytest.mark.parametrize("outline", [{}, {"segmentation": None}, {"segmentation": []}])
def test_an_instance_that_has_a_box_only_is_left_out_and_counted(tmp_path, outline):
    images = [{"id": 1, "file_name": "a", "height": 12, "width": 14}]
    square = {"image_id": 1, "segmentation": [[0, 0, 4, 0, 4, 4]]}
    box = {"image_id": 1, "bbox": [0, 0, 4, 4], **outline}
    (tmp_path / "a.json").write_text(json.dumps({"images": images, "annotations": [square, box]}))
    found = read_coco(tmp_path / "a.json").readers["a"](12, 14)
    assert (len(found.regions), found.left_out) == (1, {"instances that have a box only": 1})


def test_an_image_without_an_id_is_refused(tmp_path):
    found = write_images(tmp_path / "a.json", [{"file_name": "a.png"}], [1])
    with pytest.raises(InputError, match=r"a.png: has no id, by which annotations name their image"):
        found.readers["a.png"](12, 14)


def test_ids_and_crowds_that_one_file_writes_as_numbers_and_as_text_are_the_same(tmp_path):
    found = write_images(tmp_path / "a.json", [{"id": 1, "file_name": "a.png"}], [1, "1", 1.0])
    assert found.problems == []
    assert len(found.readers["a.png"](12, 14).regions) == 3
    content = json.loads((tmp_path / "a.json").read_text())
    for each, crowd in zip(content["annotations"], ("0", "1", False), strict=True):
        each["iscrowd"] = crowd
    (tmp_path / "a.json").write_text(json.dumps(content))
    found = read_coco(tmp_path / "a.json").readers["a.png"](12, 14)
    assert (len(found.regions), found.left_out) == (2, {CROWDS: 1})


@pytest.mark.parametrize(
    ("counts", "pixels", "told"),
    [
        ([24, 6, 30, 6, 102], [6], CROWDS),  # in columns 2 and 5
        ([24, 6, 6, 6, 126], [6, 12], SINGLE),  # in columns 2 and 3
    ],
)
def test_a_crowd_is_left_out_and_counted_unless_it_is_one_part_as_cvat_writes_them(tmp_path, counts, pixels, told):
    content = json.loads(coco_of([[1, 1, 4, 1, 4, 3, 1, 3]], {"size": [12, 14], "counts": counts}))
    content["annotations"][1]["iscrowd"] = 1
    (tmp_path / "a.json").write_text(json.dumps(content))
    found = read_coco(tmp_path / "a.json").readers["a.png"](12, 14)
    assert [region.mask.sum() for region in found.regions] == pixels
    assert found.left_out == {told: 1}


@pytest.mark.parametrize("text", ["", "[]", "{}", "a,b\n1,2\n", '{"images": [], "annotations": [3]}'])
@pytest.mark.parametrize("read", [read_coco, read_bowl])
def test_what_is_no_such_file_is_told_in_one_line(tmp_path, read, text):
    (tmp_path / "a").write_text(text)
    with pytest.raises(InputError, match="a: is not") as caught:
        read(tmp_path / "a")
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        *(
            (text, "is no first pixel and length in turn")
            for text in ("1", "1 2 3", "a b", "-4 2", "1 -2", "1.0 2", "-1")
        ),
        *((f"{text}", "whole numbers between spaces") for text in ('"1,3"', f"{10**20} 2", "² 1", "nan")),
        *((text, "a run leaves the image of 12x14 pixels") for text in ("168 9", "0 3", f"{10**17} {10**17}")),
    ],
)
def test_run_lengths_that_cannot_be_used_are_refused_with_the_line_and_the_rule(tmp_path, text, rule):
    (tmp_path / "a.csv").write_text(f"ImageId,EncodedPixels\na,1 2\na,{text}\n")
    with pytest.raises(InputError, match=rf"a.csv: a: line 3 cannot be used \(.*{rule}"):
        read_bowl(tmp_path / "a.csv").readers["a"](12, 14)


@pytest.mark.parametrize(("row", "cells"), [("b", "fewer"), ("b,1 3,5 2", "more"), ("b,1 3,", "more")])
def test_an_image_with_a_row_of_other_length_than_the_header_is_refused_and_the_others_are_not(tmp_path, row, cells):
    (tmp_path / "a.csv").write_text(f"ImageId,EncodedPixels\na,1 5\nb,1 5\n{row}\n")
    found = read_bowl(tmp_path / "a.csv")
    assert len(found.readers["a"](12, 14).regions) == 1
    with pytest.raises(InputError, match=f"a.csv: line 4 has {cells} cells than the header"):
        found.readers["b"](12, 14)
    assert found.problems == []


def test_a_row_that_is_cut_off_before_its_image_is_a_problem(tmp_path):
    (tmp_path / "a.csv").write_text("EncodedPixels,ImageId\n1 5,a\n1 5\n")
    found = read_bowl(tmp_path / "a.csv")
    assert found.problems == [f"{tmp_path / 'a.csv'}: line 3 has fewer cells than the header"]
    assert len(found.readers["a"](12, 14).regions) == 1


@pytest.mark.parametrize(("height", "width"), [("Height", "Width"), ("height", "width")])
def test_run_lengths_of_an_image_of_another_size_are_refused(tmp_path, height, width):
    (tmp_path / "a.csv").write_text(f"ImageId,EncodedPixels,{height},{width}\na,1 5,12,14\nb,1 5,24,7\nc,1 5,,\n")
    found = read_bowl(tmp_path / "a.csv").readers
    assert [len(found[name](12, 14).regions) for name in "ac"] == [1, 1]
    with pytest.raises(InputError, match=r"a.csv: b: is 24x7 there, its file 12x14"):
        found["b"](12, 14)
