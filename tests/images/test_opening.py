import cv2
import numpy as np
import pytest
import tifffile

from unetseg.errors import InputError
from unetseg.images.opening import open_image
from unetseg.images.pictures import read_image

RNG = np.random.default_rng(0)
DARK = RNG.integers(900, 4000, (50, 40), np.uint16)  # a 12-bit camera's values


def whole(path, *arguments, **options):
    with open_image(path, *arguments, **options) as opened:
        return opened.rows(0, opened.height)


@pytest.mark.parametrize("suffix", ["png", "tif", "bmp", "jpg"])
def test_an_image_is_read_as_training_reads_it(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    cv2.imwrite(str(path), RNG.integers(0, 256, (50, 40, 3), np.uint8))
    assert np.array_equal(whole(path), read_image(path))


@pytest.mark.parametrize(
    "values",
    [
        DARK,
        DARK.astype(np.float32) / 7,
        DARK.astype(np.int32) - 2000,
        (DARK >> 4).astype(np.uint8),
        np.full((50, 40), 7, np.uint16),
        np.stack([DARK, DARK // 2, DARK // 3], axis=2),
    ],
)
def test_a_large_tiff_read_by_rows_is_what_training_would_see(tmp_path, values):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, values, photometric="rgb" if values.ndim == 3 else "minisblack", compression="zlib")
    with open_image(path, large=100) as opened:
        rows = np.concatenate([opened.rows(start, start + 10) for start in range(0, 50, 10)])
    assert np.array_equal(rows, read_image(path))


def test_16_bit_is_scaled_by_its_own_range_and_not_cut_to_black(tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), DARK)
    assert (whole(tmp_path / "a.png").min(), whole(tmp_path / "a.png").max()) == (0, 255)


def test_each_plane_is_scaled_by_its_own_range(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.stack([DARK, DARK // 4]), photometric="minisblack")
    for plane in range(2):
        image = whole(tmp_path / "a.tif", plane)
        assert (image.min(), image.max()) == (0, 255)


def test_an_image_with_a_preview_behind_it_is_read(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write((DARK >> 4).astype(np.uint8))
        file.write(np.zeros((10, 8), np.uint8))
    assert np.array_equal(whole(tmp_path / "a.tif")[..., 1], DARK >> 4)


def test_the_size_of_a_pixel_is_passed_on(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", DARK, resolution=(20000, 20000), resolutionunit="CENTIMETER")
    with open_image(tmp_path / "a.tif") as opened:
        assert opened.pixel == (0.5, 0.5)


@pytest.mark.parametrize("large", [100, 10_000])
def test_values_that_are_no_numbers_are_told(tmp_path, large):
    values = DARK.astype(np.float32)
    values[20, 20] = np.nan
    tifffile.imwrite(tmp_path / "a.tif", values)
    with pytest.raises(InputError, match=r"a\.tif: .*NaN"):
        whole(tmp_path / "a.tif", large=large)


@pytest.mark.parametrize("name", ["a.png", "a.tif", "none.png"])
def test_a_broken_or_missing_file_is_named(tmp_path, name):
    if not name.startswith("none"):
        (tmp_path / name).write_bytes(b"II*\0broken")
    with pytest.raises(InputError, match=name):
        whole(tmp_path / name)
