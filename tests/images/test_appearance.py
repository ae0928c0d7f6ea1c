import cv2
import numpy as np

from unetseg.images.appearance import STATISTICS, appearance


def test_the_appearance_is_the_quantiles_of_grey_the_distance_of_the_channels_and_the_sharpness():
    grey = np.repeat(np.arange(100, dtype=np.uint8), 100).reshape(100, 100)
    found = dict(zip(STATISTICS, appearance(np.stack([grey, grey, grey + 50], -1)), strict=True))
    luma = 0.114 * 50  # the weight of blue
    assert np.allclose([found["q5"], found["q50"], found["q95"]], np.array([4.95, 49.5, 94.05]) + luma, atol=1)
    assert found["colour"] == 50


def test_a_blurred_image_is_less_sharp():
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    assert appearance(cv2.GaussianBlur(noise, (0, 0), 2))[-1] < appearance(noise)[-1] - 1
