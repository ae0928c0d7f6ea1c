import cv2
import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt

from unetseg.images.distances import distance_inside


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_distances_are_exact_whatever_the_threads(threads):
    rng = np.random.default_rng(0)
    before = cv2.getNumThreads()
    cv2.setNumThreads(threads)
    try:
        for density in (0.001, 0.01, 0.3):
            for _ in range(20):
                mask = rng.random(rng.integers(20, 200, 2)) > density
                mask[0, 0] = False
                assert np.array_equal(distance_inside(mask), distance_transform_edt(mask).astype(np.float32))
    finally:
        cv2.setNumThreads(before)
