import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unetseg.images.resampling import fit, resize, resized_rows, resized_strips

sizes = st.integers(1, 40)


@given(sizes, sizes, sizes, st.integers(0, 255))
def test_an_even_image_stays_even_at_any_size(height, width, size, value):
    image = np.full((height, width, 3), value, np.uint8)
    assert (fit(image, size) == value).all()


def test_an_image_of_the_models_size_is_not_changed():
    image = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
    assert np.array_equal(fit(image, 16), image)


def test_shrinking_takes_the_mean_of_the_pixels_that_become_one():
    image = np.zeros((4, 4, 3), np.uint8)
    image[::2, ::2] = 200
    assert (fit(image, 2) == 50).all()


def test_one_axis_may_shrink_while_the_other_grows():
    stripes = np.tile(np.array([0, 1], np.float32), (2, 32))
    assert np.allclose(resize(stripes, 8, 32), 0.5)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_resizing_keeps_the_type(dtype):
    assert resize(np.ones((3, 5), dtype), 7, 2).dtype == dtype


@given(sizes, sizes)
def test_a_probability_stays_between_its_lowest_and_highest(height, width):
    probability = np.random.default_rng(0).random((16, 16), np.float32)
    restored = resize(probability, height, width)
    assert restored.shape == (height, width)
    assert probability.min() - 1e-6 <= restored.min() <= restored.max() <= probability.max() + 1e-6


@pytest.mark.parametrize("zoom", [0.25, 0.37, 0.9, 1.0, 1.41, 2.0])
def test_what_is_resized_by_strips_is_what_is_resized_at_once(zoom):
    image = np.random.default_rng(0).integers(0, 256, (97, 61, 3)).astype(np.uint8)
    height, width = round(97 * zoom), round(61 * zoom)
    rows = resized_rows(lambda start, stop: image[start:stop], 97, height, width)
    strips = np.concatenate([rows(start, min(start + 7, height)) for start in range(0, height, 7)])
    assert np.abs(strips.astype(int) - resize(image, height, width)).max() <= 1
    probability = np.random.default_rng(1).random((height, width), np.float32)
    parts = (probability[start : start + 5] for start in range(0, height, 5))
    back = np.concatenate(list(resized_strips(parts, height, 97, 61)))
    np.testing.assert_allclose(back, resize(probability, 97, 61), atol=1e-5)


def test_a_row_of_pixels_can_be_zoomed():
    row = np.full((1, 1, 3), 9, np.uint8)
    assert (resized_rows(lambda start, stop: row[start:stop], 1, 4, 3)(0, 4) == 9).all()
