import numpy as np
import pytest

from unetseg.errors import InputError
from unetseg.images import intensity
from unetseg.images.intensity import to_rgb, value_range

GREY = np.arange(9600, dtype=np.uint16).reshape(80, 120, 1) // 96  # 0 to 99


def test_eight_bit_values_stay():
    assert np.array_equal(to_rgb(GREY.astype(np.uint8)), np.dstack([GREY] * 3))


@pytest.mark.parametrize("dtype", [np.uint16, np.int16, np.int32, np.uint32, np.float16, np.float32, np.float64])
def test_other_types_are_scaled_by_their_own_range(dtype):
    assert np.array_equal(to_rgb(GREY.astype(dtype) * 2 + 300)[..., 0], np.rint(GREY[..., 0] / 99 * 255))


def test_one_hot_pixel_changes_nothing_else():
    hot = GREY.copy()
    hot[40, 60] = 65535
    image = to_rgb(hot)
    assert image[40, 60].tolist() == [255, 255, 255]
    image[40, 60] = to_rgb(GREY)[40, 60]
    assert np.array_equal(image, to_rgb(GREY))


def test_a_lone_speck_is_seen():
    speck = np.full((80, 120, 1), 500, np.uint16)
    speck[3, 3] = 900
    assert np.argwhere(to_rgb(speck)[..., 0]).tolist() == [[3, 3]]


def test_a_flat_image_is_black():
    assert to_rgb(np.full((8, 8, 1), 500, np.uint16)).max() == 0


def test_colours_share_one_range():
    image = to_rgb(np.dstack([GREY * 0, GREY, GREY * 2]))
    assert image[-1, -1].tolist() == [0, 128, 255]


def test_true_is_white():
    assert to_rgb(np.full((8, 8, 1), True))[0, 0].tolist() == [255, 255, 255]


def test_wide_floats_are_scaled_without_overflow():
    assert to_rgb(np.array([[[-1e30], [0], [1e30]]], np.float32))[0, :, 0].tolist() == [0, 128, 255]


@pytest.mark.parametrize("value", [np.nan, np.inf, 2e34])
def test_values_that_nothing_can_be_computed_with_are_counted(value):
    floats = GREY.astype(np.float64)
    floats[0, :3] = value
    with pytest.raises(InputError, match=r"^has 3 values that are NaN, infinite or beyond 1e\+30$"):
        to_rgb(floats)


def test_complex_numbers_are_refused():
    with pytest.raises(InputError, match="holds values of type complex64"):
        to_rgb(GREY.astype(np.complex64))


@pytest.mark.parametrize("step", [1, 7, 16, 80])
def test_the_range_of_a_large_image_is_that_of_a_grid_however_it_is_cut_into_strips(step, monkeypatch):
    monkeypatch.setattr(intensity, "SAMPLE", 600)
    values = np.random.default_rng(0).integers(0, 60_000, GREY.shape, np.uint16)
    strips = [values[top : top + step] for top in range(0, 80, step)]
    assert value_range(strips, 80, 120) == value_range([values[::4, ::4]], 20, 30)
