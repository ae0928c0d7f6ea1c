import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra.numpy import arrays
from skimage.measure import label

from unetseg.objects import separation as objects
from unetseg.objects.separation import connected_objects, separated_objects, without_small


def disks(*centres, radius=9, shape=(40, 60)):
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    mask = np.zeros(shape, bool)
    for row, column in centres:
        mask |= (rows - row) ** 2 + (columns - column) ** 2 <= radius**2
    return mask.astype(np.float32) * 0.8


TOUCHING = disks((20, 20), (20, 36))


def test_touching_disks_are_one_component_and_two_objects():
    assert connected_objects(TOUCHING, 0.5, 1).max() == 1
    found = separated_objects(TOUCHING, 0.5, 1.0, 1)
    assert found.max() == 2
    assert {found[20, 20], found[20, 36]} == {1, 2}
    np.testing.assert_array_equal(found > 0, TOUCHING >= 0.5)


def test_a_waist_less_deep_than_asked_for_parts_nothing_even_between_equal_peaks():
    assert separated_objects(TOUCHING, 0.5, 8.0, 1).max() == 1


@settings(deadline=None)
@given(arrays(bool, (9, 9)))
def test_at_a_great_depth_the_objects_are_the_components(mask):
    probability = mask.astype(np.float32)
    expected = connected_objects(probability, 0.5, 1)
    np.testing.assert_array_equal(expected > 0, mask)
    assert expected.max() == label(mask, connectivity=1).max()
    found = separated_objects(probability, 0.5, 50.0, 1)
    pairs = {*zip(found[mask].tolist(), expected[mask].tolist(), strict=True)}
    assert len(pairs) == found.max() == expected.max()


def test_the_threshold_itself_is_foreground():
    probability = np.full((3, 3), 0.3, np.float32)
    assert connected_objects(probability, 0.3, 1).max() == 1
    assert separated_objects(probability, 0.3, 1.0, 1).max() == 1


def test_objects_smaller_than_asked_for_are_left_out_and_the_rest_numbered_without_gaps():
    labels = np.array([[3, 3, 0, 1], [3, 0, 7, 7]], np.int32)
    np.testing.assert_array_equal(without_small(labels, 2), [[1, 1, 0, 0], [1, 0, 2, 2]])


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_an_image_of_one_value_has_no_object_or_one(value):
    probability = np.full((8, 8), value, np.float32)
    assert separated_objects(probability, 0.5, 1.0, 1).max() == value
    assert connected_objects(probability, 0.5, 1).max() == value


@pytest.mark.parametrize("steps", [0, 3, 64])
def test_few_steps_of_dilation_and_many_give_the_same_objects(steps, monkeypatch):
    rng = np.random.default_rng(0)
    snake = np.zeros((60, 60), np.float32)
    snake[0::4] = snake[1::4] = 1
    snake[2::8, -2:] = snake[3::8, -2:] = snake[6::8, :2] = snake[7::8, :2] = 1
    noise = cv2.GaussianBlur(rng.random((60, 80), dtype=np.float32), (0, 0), 3)
    for probability in (snake, (noise > np.median(noise)).astype(np.float32)):
        expected = separated_objects(probability, 0.5, 1.0, 1)
        with monkeypatch.context() as patch:
            patch.setattr(objects, "STEPS", steps)
            np.testing.assert_array_equal(separated_objects(probability, 0.5, 1.0, 1), expected)
