import tempfile
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from unetseg.dataset.merging import merge_masks, read_mask
from unetseg.errors import InputError
from unetseg.images.opening import Stored

IMAGE = Stored(np.arange(96, dtype=np.uint8).reshape(8, 12, 1))


def block(rows, columns, value=255, dtype=np.uint8):
    mask = np.zeros((8, 12), dtype)
    mask[rows, columns] = value
    return mask


def save(folder, *masks):
    paths = []
    for number, mask in enumerate(masks):
        path = folder / f"{number}.png"
        cv2.imwrite(str(path), mask)
        paths.append(path)
    return paths


def test_each_of_several_files_is_an_object_numbered_by_its_place(tmp_path):
    paths = save(tmp_path, block(np.s_[0:2], np.s_[0:3]), block(np.s_[4:8], np.s_[6:12]))
    labels, warnings = merge_masks(paths, IMAGE)
    expected = np.zeros((8, 12))
    expected[0:2, 0:3] = 1
    expected[4:8, 6:12] = 2
    assert np.array_equal(labels, expected)
    assert warnings == []


def test_an_object_of_several_files_may_have_several_parts(tmp_path):
    two_parts = block(np.s_[0:2], np.s_[0:3]) + block(np.s_[6:8], np.s_[0:3])
    labels, _ = merge_masks(save(tmp_path, two_parts, block(3, 3)), IMAGE)
    assert labels[0, 0] == labels[7, 0] == 1


def test_the_parts_of_a_single_file_are_its_objects_and_a_corner_joins_nothing(tmp_path):
    touching_at_a_corner = block(np.s_[0:2], np.s_[0:2]) + block(2, 2) + block(np.s_[5:8], np.s_[9:12])
    labels, _ = merge_masks(save(tmp_path, touching_at_a_corner), IMAGE)
    assert (labels[0, 0], labels[2, 2], labels[7, 11], labels.max()) == (1, 2, 3, 3)


def test_where_masks_overlap_the_first_keeps_the_pixel_and_a_warning_counts_them(tmp_path):
    paths = save(tmp_path, block(np.s_[0:4], np.s_[0:4]), block(np.s_[3:6], np.s_[2:6]), block(0, 0))
    labels, warnings = merge_masks(paths, IMAGE)
    assert labels[3, 2] == 1
    assert labels[4, 2] == 2
    assert 3 not in labels
    assert warnings == [f"{tmp_path}: of 3 masks, 2 overlap others, on 3 pixels in all; the first by name keeps them"]


def test_a_mask_that_is_all_zero_is_named_but_no_error(tmp_path):
    labels, warnings = merge_masks(save(tmp_path, block(1, 1), block(0, 0, 0)), IMAGE)
    assert labels.max() == 1
    assert warnings == [f"{tmp_path / '1.png'}: all zero, contains no object"]


def test_an_image_without_objects_has_one_mask_that_is_all_zero(tmp_path):
    labels, _ = merge_masks(save(tmp_path, block(0, 0, 0)), IMAGE)
    assert labels.shape == (8, 12)
    assert labels.max() == 0


@pytest.mark.parametrize(("value", "dtype"), [(1, np.uint8), (255, np.uint8), (1, np.uint16), (65535, np.uint16)])
def test_an_object_is_written_as_1_or_as_the_largest_value(tmp_path, value, dtype):
    mask = read_mask(save(tmp_path, block(np.s_[2:4], 5, value, dtype))[0], IMAGE)
    assert mask.box == (slice(2, 4), slice(5, 6))
    assert mask.inside.all()


@pytest.mark.parametrize("dtype", [bool, np.float32, np.int32])
def test_a_mask_may_be_a_tiff_of_any_type(tmp_path, dtype):
    tifffile.imwrite(tmp_path / "0.tif", block(np.s_[2:4], 5, 1, dtype), photometric="minisblack")
    assert read_mask(tmp_path / "0.tif", IMAGE).box == (slice(2, 4), slice(5, 6))


def test_a_grey_mask_saved_as_rgb_is_a_mask(tmp_path):
    (path,) = save(tmp_path, np.dstack([block(2, 5)] * 3))
    assert read_mask(path, IMAGE).box == (slice(2, 3), slice(5, 6))


def test_black_is_background_and_any_other_colour_of_a_palette_the_object(tmp_path):
    mask = Image.fromarray(block(2, 5, 1) + block(3, 6, 2))
    mask.putpalette([0, 0, 0, 128, 0, 0, 0, 0, 255])
    mask.save(tmp_path / "0.png")
    found = read_mask(tmp_path / "0.png", IMAGE)
    assert found.box == (slice(2, 4), slice(5, 7))
    assert found.inside.tolist() == [[True, False], [False, True]]


@pytest.mark.parametrize(
    ("mask", "rule"),
    [
        (np.zeros((8, 13), np.uint8), "is 8x13 pixels, its image 8x12; they must be of one size"),
        (block(1, 1, 3), "has the values 3; a mask holds 0 for background and 255"),
        (block(1, np.s_[1:3], [1, 255]), "has the values 1, 255; a mask holds"),
        (np.arange(96, dtype=np.uint8).reshape(8, 12)[::-1], r"has the values 0, 1, 2, 3, 4 … \(96 in all\); a mask"),
        (np.dstack([block(1, 1), block(1, 2), block(1, 1)]), "has colours; a mask holds 0 for background"),
        (IMAGE.pixels, "is the image itself; a mask holds 0 for background"),
    ],
)
def test_what_is_no_mask_of_the_image_is_refused_with_the_rule(tmp_path, mask, rule):
    (path,) = save(tmp_path, mask)
    with pytest.raises(InputError, match=f"^{path}: {rule}"):
        read_mask(path, IMAGE)


@pytest.mark.parametrize("value", [-1, 0.5])
def test_values_that_only_a_tiff_can_hold_are_refused_too(tmp_path, value):
    tifffile.imwrite(tmp_path / "0.tif", block(1, 1, value, np.float32))
    with pytest.raises(InputError, match=f"has the values .*{value}"):
        read_mask(tmp_path / "0.tif", IMAGE)


def test_an_image_that_a_viewer_turns_and_a_mask_that_it_does_not_are_refused(tmp_path):
    turned = Stored(IMAGE.pixels, orientation=6)
    with pytest.raises(InputError, match="has orientation 1, its image 6; save both upright"):
        read_mask(save(tmp_path, block(1, 1))[0], turned)


def test_all_problems_of_an_image_are_told_at_once(tmp_path):
    paths = save(tmp_path, block(1, 1, 3), block(1, 1), block(1, 1, 4))
    for image in (IMAGE, None):
        with pytest.raises(InputError) as caught:
            merge_masks(paths, image)
        assert [line.split(":")[0] for line in str(caught.value).splitlines()] == [str(paths[0]), str(paths[2])]


def test_more_objects_than_numbers_are_refused(tmp_path):
    dots = np.zeros((520, 520), np.uint8)
    dots[::2, ::2] = 255
    (path,) = save(tmp_path, dots)
    with pytest.raises(InputError, match="holds 67,600 objects; at most 65,535 per image are supported"):
        merge_masks([path], Stored(dots[..., None]))
    with pytest.raises(InputError, match="holds 65,536 objects"):
        merge_masks([path] * 65_536, None)


@given(masks=st.lists(arrays(bool, (8, 12)), min_size=2, max_size=5))
def test_together_the_objects_are_the_union_of_the_masks_and_the_first_keeps_its_pixels(masks):
    with tempfile.TemporaryDirectory() as folder:
        labels, _ = merge_masks(save(Path(folder), *(mask * np.uint8(255) for mask in masks)), IMAGE)
    first = np.argmax(masks, axis=0) + 1  # of several largest values, argmax gives the first
    assert np.array_equal(labels, np.where(np.any(masks, axis=0), first, 0))
