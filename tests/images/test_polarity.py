import numpy as np
import pytest

from unetseg.images.intensity import polarity

MASK = np.zeros((8, 8), np.uint16)
MASK[2:4, 3:6] = 7


@pytest.mark.parametrize(("inside", "outside", "expected"), [(20, 10, 1.0), (10, 20, -1.0), (200, 190, 1.0)])
def test_polarity_is_the_sign_of_objects_against_background(inside, outside, expected):
    image = np.where(MASK[..., None] > 0, inside, outside).repeat(3, -1).astype(np.uint8)
    assert polarity(image, MASK) == expected


@pytest.mark.parametrize("mask", [np.zeros_like(MASK), np.ones_like(MASK)])
def test_an_image_without_objects_or_background_is_taken_as_it_is(mask):
    assert polarity(np.full((8, 8, 3), 200, np.uint8), mask) == 1.0
