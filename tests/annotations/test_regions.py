import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from unetseg.annotations.outlines import outline
from unetseg.annotations.regions import BEYOND, Region, cut, fill, overlap, surrounding, trim, union

masks = arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=9), elements=st.booleans())


def whole(region, shape):
    mask = np.zeros(shape, bool)
    if region:
        mask[region.row : region.row + region.mask.shape[0], region.column :][:, : region.mask.shape[1]] = region.mask
    return mask


@given(masks)
def test_filling_a_masks_outlines_gives_the_mask_back(mask):
    rings = [ring.astype(float) for part in outline(mask, 0, 0) for ring in part]
    filled = fill(rings, *mask.shape) if rings else None
    assert np.array_equal(whole(filled, mask.shape), mask)


@given(masks)
def test_a_trimmed_mask_is_the_mask_without_what_is_empty_around_it(mask):
    region = trim(mask)
    assert np.array_equal(whole(region, mask.shape), mask)
    assert region is None or all(region.mask.any(axis=axis)[[0, -1]].all() for axis in (0, 1))


def test_a_pixel_is_inside_if_its_centre_is():
    region = fill([np.array([(0.6, 0), (3.4, 0), (3.4, 1), (0.6, 1)])], 5, 5)
    assert (region.row, region.column, region.mask.tolist()) == (0, 1, [[True, True]])


def test_what_leaves_the_image_is_cut_off():
    region = fill([np.array([(-9.0, -9), (99, -9), (99, 99), (-9, 99)])], 4, 6)
    assert region.mask.shape == (4, 6)
    assert region.mask.all()
    assert fill([np.array([(50.0, 50), (60, 50), (60, 60)])], 4, 6) is BEYOND
    assert fill([np.array([(0, 0), (np.inf, 0), (2, 2)])], 4, 6) is None


def test_numbers_without_pixels_are_passed_over():
    assert [region.mask.sum() for region in cut(np.array([[0, 5, 5], [2, 0, 5]]))] == [1, 3]


def test_parts_become_one_object():
    parts = [Region(1, 1, np.ones((2, 2), bool)), None, Region(4, 0, np.ones((1, 3), bool))]
    joined = union(parts)
    assert (joined.row, joined.column, joined.mask.shape, joined.mask.sum()) == (1, 0, (4, 3), 7)
    assert union([None]) is None


@pytest.mark.parametrize(("column", "shared"), [(2, False), (1, True)])
def test_objects_overlap_where_they_share_a_pixel(column, shared):
    square = np.ones((2, 2), bool)
    assert overlap([Region(0, 0, square), Region(0, column, square)], 4, 4) is shared


def test_an_object_surrounds_a_smaller_one_all_of_whose_pixels_it_has():
    large, small, far = (Region(row, row, np.ones((side, side), bool)) for row, side in ((0, 9), (2, 3), (20, 2)))
    pierced = Region(0, 0, np.ones((9, 9), bool))
    pierced.mask[3, 3] = False
    assert surrounding([large, small, far, large], [True, True, True, True]) == {0, 3}
    assert surrounding([large, small, far], [False, True, True]) == set()
    assert surrounding([pierced, small, far], [True, True, True]) == set()
    assert surrounding([], []) == set()
