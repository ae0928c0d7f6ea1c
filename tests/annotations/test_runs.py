import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from pycocotools import mask as coco

from unetseg.annotations.coco import coco_counts
from unetseg.annotations.runs import bowl_text, find_runs

masks = arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=9), elements=st.booleans()).filter(np.any)
places = st.integers(0, 3)


def in_its_image(mask, row, column):
    height, width = mask.shape
    image = np.zeros((row + height + 2, column + width + 1), bool)
    image[row : row + height, column : column + width] = mask
    return image


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # pycocotools under NumPy 2
@given(masks, places, places)
def test_pycocotools_decodes_the_counts_to_the_mask(mask, row, column):
    image = in_its_image(mask, row, column)
    counts = coco_counts(*find_runs(mask, row, column, len(image)), image.size)
    encoded = coco.frPyObjects({"size": list(image.shape), "counts": counts}, *image.shape)
    assert np.array_equal(coco.decode(encoded).astype(bool), image)


@given(masks, places, places)
def test_the_bowls_text_decodes_to_the_mask(mask, row, column):
    image = in_its_image(mask, row, column)
    decoded = np.zeros(image.size, bool)
    numbers = [int(word) for word in bowl_text(*find_runs(mask, row, column, len(image))).split()]
    for start, length in zip(numbers[::2], numbers[1::2], strict=True):
        assert not decoded[start - 1 : start - 1 + length].any()
        decoded[start - 1 : start - 1 + length] = True
    assert np.array_equal(decoded.reshape(image.shape, order="F"), image)


def test_runs_of_the_bowl_count_from_one_down_the_columns():
    mask = np.array([[1, 0, 0], [1, 1, 0]], bool)
    assert bowl_text(*find_runs(mask, 0, 0, 2)) == "1 2 4 1"


def test_a_run_goes_on_from_the_foot_of_a_column_to_the_head_of_the_next():
    assert bowl_text(*find_runs(np.ones((3, 2), bool), 0, 0, 3)) == "1 6"


def test_a_pixel_far_down_a_huge_image_is_counted_without_overflow():
    starts, _ = find_runs(np.ones((1, 1), bool), 99_999, 99_999, 100_000)
    assert starts.tolist() == [9_999_999_999]
