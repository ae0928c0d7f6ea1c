import numpy as np
import pytest

from unetseg.images.fingerprint import LENGTH, SIDES, fingerprint, kept, thumbnail


@pytest.mark.parametrize("shape", [(1, 1, 3), (9, LENGTH, 1), (LENGTH + 1, 40, 3), (3 * LENGTH + 5, 2, 1)])
def test_a_record_holds_the_borders_thinned_evenly_and_the_thumbnail(shape):
    image = np.random.default_rng(0).integers(0, 65535, shape, np.uint16)
    record = fingerprint(image)
    lines = dict(zip(SIDES, (image[0], image[-1], image[:, 0], image[:, -1]), strict=True))
    for values, pixels, line in zip(record["values"], record["pixels"], lines.values(), strict=True):
        thinned = line[:: -(-len(line) // LENGTH)].mean(axis=1, dtype=np.float32)
        assert pixels == len(line)
        assert values[: kept(len(line))] == pytest.approx(np.sqrt(thinned + 3 / 8))
        assert not values[kept(len(line)) :].any()
    assert np.array_equal(record["thumbnail"], thumbnail(image))


def test_channels_are_averaged_exactly():
    image = np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)
    grey = image.mean(axis=2, dtype=np.float32)[..., None]
    assert np.array_equal(thumbnail(image), thumbnail(grey))
