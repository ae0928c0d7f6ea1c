import numpy as np
import pytest

from unetseg.images.fingerprint import LENGTH, borders, stored_borders, thumbnail, traits


@pytest.mark.parametrize("shape", [(1, 1, 3), (9, LENGTH, 1), (LENGTH + 1, 40, 3), (3 * LENGTH + 5, 2, 1)])
def test_a_record_gives_back_the_borders_and_the_thumbnail(shape):
    image = np.random.default_rng(0).integers(0, 65535, shape, np.uint16)
    record = traits(image)
    for side, border in stored_borders(record).items():
        expected = borders(image)[side]
        assert np.array_equal(border.values, expected.values)
        assert (border.step, border.pixels) == (expected.step, expected.pixels)
    assert np.array_equal(record["thumbnail"], thumbnail(image))


def test_channels_are_averaged_exactly():
    image = np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)
    grey = image.mean(axis=2, dtype=np.float32)[..., None]
    assert np.array_equal(thumbnail(image), thumbnail(grey))
