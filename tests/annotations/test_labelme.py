import base64
import io
import json
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from labelled import in_two_goes, label_images, painted
from PIL import Image

from unetseg.annotations.labelme import read_labelme, write_labelme
from unetseg.errors import InputError


@given(label_images)
def test_objects_are_read_back_to_the_pixel(tmp_path_factory, labels):
    path = in_two_goes(write_labelme, tmp_path_factory.mktemp("json") / "a.json", labels)
    found = read_labelme(path, *labels.shape)
    assert np.array_equal(painted(found, labels.shape), labels)
    assert not found.left_out
    assert json.loads(path.read_text())["imagePath"] == "../x/a.png"


def read(folder, *shapes):
    (folder / "a.json").write_text(json.dumps({"shapes": shapes}))
    return read_labelme(folder / "a.json", 20, 20)


def mask_of(height, width, points=((0, 0), (5, 5)), damage=None):
    file = io.BytesIO()
    Image.new("1", (width, height), 1).save(file, "PNG")
    content = bytearray(file.getvalue())
    if damage:
        content[damage] ^= 0xFF
    return {"shape_type": "mask", "points": points, "mask": base64.b64encode(content).decode()}


def test_objects_of_an_image_of_another_size_are_refused(tmp_path):
    content = {"shapes": [], "imageHeight": 256, "imageWidth": 256}
    (tmp_path / "a.json").write_text(json.dumps(content))
    assert read_labelme(tmp_path / "a.json", 256, 256) == ([], {}, {})
    with pytest.raises(InputError, match=r"a.json: is 256x256 there, its file 20x20"):
        read_labelme(tmp_path / "a.json", 20, 20)


def test_a_mask_larger_than_the_image_is_refused_before_it_is_decoded(tmp_path):
    tracemalloc.start()
    with pytest.raises(InputError, match="a mask of 21x9000 pixels in an image of 20x20"):
        read(tmp_path, mask_of(21, 9000))
    assert tracemalloc.get_traced_memory()[1] < 21 * 9000
    tracemalloc.stop()


def test_a_mask_with_any_damaged_byte_is_told_in_one_line_or_read(tmp_path):
    refused = 0
    for place in range(1, 69):
        try:
            read(tmp_path, mask_of(6, 6, damage=place))
        except InputError as error:
            assert len(str(error).splitlines()) == 1
            refused += 1
    assert refused > 40


def test_rectangles_and_circles_are_areas(tmp_path):
    found = read(
        tmp_path,
        {"shape_type": "rectangle", "points": [[7, 2], [3, 9]]},
        {"shape_type": "circle", "points": [[10, 10], [10, 15]]},
    )
    assert found.regions[0].mask.shape == (7, 4)
    assert found.regions[1].mask.sum() == pytest.approx(np.pi * 25, rel=0.05)
    turned = read(tmp_path, {"shape_type": "oriented_rectangle", "points": [[10, 4], [16, 10], [10, 16], [4, 10]]})
    assert turned.regions[0].mask.sum() == pytest.approx(72, rel=0.1)
    with pytest.raises(InputError, match="its oriented_rectangle has 2 points; it needs 4"):
        read(tmp_path, {"shape_type": "oriented_rectangle", "points": [[10, 4], [16, 10]]})


def test_shapes_of_one_group_and_label_are_parts_of_one_object(tmp_path):
    square = [[0, 0], [2, 0], [2, 2], [0, 2]]
    far = [[9, 9], [12, 9], [12, 12], [9, 12]]
    same = {"group_id": 1, "label": "cell"}
    found = read(tmp_path, {"points": square} | same, {"points": far} | same)
    assert (len(found.regions), found.left_out) == (1, {"shapes that share a group_id and a label": 2})
    assert len(read(tmp_path, {"points": square} | same, {"points": far, "group_id": 1, "label": "x"}).regions) == 2
    assert len(read(tmp_path, {"points": square}, {"points": far}).regions) == 2


def test_a_shape_whose_type_is_null_is_a_polygon(tmp_path):
    found = read(tmp_path, {"points": [[0, 0], [2, 0], [2, 2], [0, 2]], "shape_type": None})
    assert (len(found.regions), found.left_out) == (1, {})


def test_points_and_what_lies_outside_the_image_are_counted(tmp_path):
    found = read(tmp_path, {"shape_type": "point", "points": [[1, 1]]}, {"points": [[50, 50], [60, 50], [60, 60]]})
    assert found.left_out == {"shapes that are no areas": 1, "outlines wholly outside the image": 1}


def test_labelmes_json_without_shapes_is_refused(tmp_path):
    (tmp_path / "a.json").write_text('{"imageData": null}')
    with pytest.raises(InputError, match=r"is not LabelMe's JSON, or damaged \(its shapes are None, no list\)"):
        read_labelme(tmp_path / "a.json", 20, 20)


@pytest.mark.parametrize(
    ("wrong", "rule"),
    [
        ({"label": "a"}, "its list of points is None, not x and y of each corner"),
        ({"points": [[1, 2], [3]]}, r"its list of points is .*, not x and y of each corner"),
        ({"shape_type": "rectangle", "points": [[1, 1]]}, "its rectangle has 1 points; it needs 2 or 4"),
        ({"shape_type": "circle", "points": [[1, 1]]}, "its circle has 1 points; it needs 2"),
        ({"shape_type": "mask", "points": [[1, 1]], "mask": None}, "its mask is None, no PNG as text"),
    ],
)
def test_what_is_wrong_with_a_shape_is_told_with_its_number_and_the_rule(tmp_path, wrong, rule):
    with pytest.raises(InputError, match=rf"a.json: is not LabelMe's JSON, or damaged, at shape 2 \({rule}\)"):
        read(tmp_path, {"points": [[1, 1], [5, 1], [5, 5]]}, wrong)


@pytest.mark.parametrize(
    "shapes",
    [
        [3],
        [{"points": "x"}],
        [{"shape_type": "mask", "points": [[0, 0]], "mask": "x"}],
        [mask_of(6, 6, [[float("inf"), 1], [5, 5]])],
        [{"points": [[10**400, 1], [2, 2], [3, 3]]}],
    ],
)
def test_what_is_damaged_is_told_in_one_line(tmp_path, shapes):
    with pytest.raises(InputError, match=r"a.json: is not LabelMe's JSON, or damaged") as caught:
        read(tmp_path, *shapes)
    assert len(str(caught.value).splitlines()) == 1
