import numpy as np
import shapely
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from unetseg.annotations.outlines import polygons

masks = arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=9), elements=st.booleans())


def as_shapely(mask):
    return [shapely.Polygon(outer, holes) for outer, *holes in polygons(mask)]


def filled(shape, parts):
    rows, columns = np.indices(shape) + 0.5
    return np.any([np.zeros(shape, bool), *(shapely.contains_xy(part, rows, columns) for part in parts)], axis=0)


@given(masks)
def test_filling_the_outlines_gives_the_mask_back(mask):
    assert np.array_equal(filled(mask.shape, as_shapely(mask)), mask)


@given(masks)
def test_outlines_are_valid_and_as_large_as_the_mask(mask):
    parts = as_shapely(mask)
    assert shapely.MultiPolygon(parts).is_valid
    assert sum(part.area for part in parts) == mask.sum()


@given(masks)
def test_outer_rings_turn_the_other_way_round_than_holes(mask):
    for outer, *holes in polygons(mask):
        assert shapely.LinearRing(outer[:, ::-1]).is_ccw
        assert not any(shapely.LinearRing(hole[:, ::-1]).is_ccw for hole in holes)


def test_one_pixel_has_its_four_corners():
    mask = np.zeros((4, 4), bool)
    mask[1, 2] = True
    ((ring,),) = polygons(mask)
    assert {tuple(corner) for corner in ring.tolist()} == {(1, 2), (1, 3), (2, 3), (2, 2)}
    assert len(ring) == 4


def test_a_hole_is_a_second_ring():
    mask = np.ones((5, 6), bool)
    mask[2, 3] = False
    ((outer, hole),) = polygons(mask)
    assert {tuple(corner) for corner in outer.tolist()} == {(0, 0), (0, 6), (5, 6), (5, 0)}
    assert {tuple(corner) for corner in hole.tolist()} == {(2, 3), (2, 4), (3, 4), (3, 3)}


def test_two_holes_that_touch_at_a_corner_are_two_rings():
    mask = np.ones((4, 4), bool)
    mask[1, 1] = mask[2, 2] = False
    ((_, *holes),) = polygons(mask)
    assert len(holes) == 2


def test_pixels_that_touch_at_a_corner_are_two_polygons():
    assert len(polygons(np.eye(2, dtype=bool))) == 2
