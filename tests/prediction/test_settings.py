import cv2
import numpy as np
import pytest

from unetseg.objects.separation import connected_objects, separated_objects
from unetseg.prediction.settings import Settings

PROBABILITY = cv2.GaussianBlur(np.random.default_rng(0).random((64, 64), np.float32), (0, 0), 2)


def test_an_image_of_the_models_size_is_numbered_as_it_is_evaluated():
    number = Settings(threshold=0.51, depth=1.5, min_size=3).number(1.0)
    assert np.array_equal(number(PROBABILITY), separated_objects(PROBABILITY, 0.51, 1.5, 3))


@pytest.mark.parametrize(("zoom", "expected"), [(0.5, 32), (2.0, 2), (1.0, 8), (16.0, 1)])
def test_the_smallest_object_grows_with_the_image_that_is_shrunk(zoom, expected):
    assert Settings(min_size=8).smallest(zoom) == expected


def test_the_depth_of_a_neck_grows_with_the_image_that_is_shrunk():
    number = Settings(depth=1.0, min_size=1).number(0.25)
    assert np.array_equal(number(PROBABILITY), separated_objects(PROBABILITY, 0.5, 4.0, 16))
    assert not np.array_equal(number(PROBABILITY), separated_objects(PROBABILITY, 0.5, 1.0, 16))


def test_touching_objects_may_stay_together():
    number = Settings(threshold=0.51, min_size=3, objects="connected").number(1.0)
    assert np.array_equal(number(PROBABILITY), connected_objects(PROBABILITY, 0.51, 3))
