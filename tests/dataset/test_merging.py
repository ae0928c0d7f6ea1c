import tempfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from unetseg.dataset.samples import merge_masks
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


def test_the_parts_of_a_single_file_are_its_objects_and_pixels_that_touch_at_a_corner_are_apart(tmp_path):
    touching_at_a_corner = block(np.s_[0:2], np.s_[0:2]) + block(2, 2) + block(np.s_[5:8], np.s_[9:12])
    labels, _ = merge_masks(save(tmp_path, touching_at_a_corner), IMAGE)
    assert [labels[0, 0], labels[2, 2], labels[7, 11]] == [1, 2, 3]
    assert labels.max() == 3


def test_a_single_label_image_holds_its_objects_whether_they_touch_or_lie_apart(tmp_path):
    expected = block(np.s_[0:4], np.s_[0:2], 1) + block(np.s_[0:4], np.s_[2:4], 2) + block(7, 11, 2)
    labels, warnings = merge_masks(save(tmp_path, expected * 3), IMAGE)
    assert np.array_equal(labels, expected)
    assert warnings == []


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
    assert warnings == [f"{tmp_path / '1.png'}: all zero, holds no object"]


def test_an_image_without_objects_has_one_mask_that_is_all_zero(tmp_path):
    labels, _ = merge_masks(save(tmp_path, block(0, 0, 0)), IMAGE)
    assert labels.shape == (8, 12)
    assert labels.max() == 0


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
