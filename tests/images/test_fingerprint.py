import numpy as np
import pytest

from unetseg.images.fingerprint import LENGTH, SIDES, fingerprint, kept


@pytest.mark.parametrize("shape", [(1, 1, 3), (9, LENGTH, 1), (LENGTH + 1, 40, 3), (3 * LENGTH + 5, 2, 1)])
def test_a_record_holds_the_borders_thinned_evenly(shape):
    image = np.random.default_rng(0).integers(0, 65535, shape, np.uint16)
    record = fingerprint(image)
    lines = dict(zip(SIDES, (image[0], image[-1], image[:, 0], image[:, -1]), strict=True))
    for values, pixels, line in zip(record["values"], record["pixels"], lines.values(), strict=True):
        thinned = line[:: -(-len(line) // LENGTH)].mean(axis=1, dtype=np.float32)
        assert pixels == len(line)
        assert values[: kept(len(line))] == pytest.approx(np.sqrt(thinned + 3 / 8))
        assert not values[kept(len(line)) :].any()


def test_channels_are_averaged_exactly():
    image = np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)
    grey = image.mean(axis=2, dtype=np.float32)[..., None]
    record, same = fingerprint(image), fingerprint(grey)
    assert record["thumbnail"] == pytest.approx(same["thumbnail"], abs=1e-6)
    assert record["details"].astype(int) == pytest.approx(same["details"].astype(int), abs=1)


def test_a_thumbnail_is_of_unit_norm_and_details_are_in_sixteenths_of_a_deviation():
    image = np.random.default_rng(0).integers(0, 256, (96, 120, 3), np.uint8)
    assert np.linalg.norm(fingerprint(image)["thumbnail"]) == pytest.approx(1)
    assert fingerprint(image)["details"].std() == pytest.approx(16, rel=0.01)
    assert not fingerprint(np.full_like(image, 7))["details"].any()
