import cv2
import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from unetseg.annotations.rasters import png_rows, tiff_rows


def written(writer, path, image, step):
    with writer as add:
        for start in range(0, len(image), step):
            add(image[start : start + step])
    return path


@settings(deadline=None)
@given(st.integers(1, 20), st.integers(1, 20), st.sampled_from([1, 3]), st.integers(1, 20), st.integers(0, 9))
def test_opencv_reads_the_png_that_was_written_in_rows(tmp_path_factory, height, width, channels, step, seed):
    image = np.random.default_rng(seed).integers(0, 256, (height, width, channels), np.uint8)
    path = tmp_path_factory.mktemp("png") / "a.png"
    written(png_rows(path, height, width, channels), path, image, step)
    stored = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(stored if channels == 1 else stored[..., ::-1], image.squeeze(2) if channels == 1 else image)


@pytest.mark.parametrize("dtype", [np.uint16, np.uint32])
@pytest.mark.parametrize("step", [1, 3, 7])
def test_tifffile_reads_the_tiff_that_was_written_in_rows(tmp_path, dtype, step):
    image = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, (7, 5), dtype)
    path = tmp_path / "a.tif"
    written(tiff_rows(path, 7, 5, dtype), path, image, step)
    assert np.array_equal(tifffile.imread(path), image)
    assert tifffile.imread(path).dtype == dtype


def test_opencv_reads_the_tiff_too(tmp_path):
    image = np.arange(20, dtype=np.uint16).reshape(4, 5) * 1000
    path = written(tiff_rows(tmp_path / "a.tif", 4, 5, np.uint16), tmp_path / "a.tif", image, 2)
    assert np.array_equal(cv2.imread(str(path), cv2.IMREAD_UNCHANGED), image)


def test_a_tiff_can_be_mapped_into_memory(tmp_path):
    path = written(tiff_rows(tmp_path / "a.tif", 4, 5, np.uint16), tmp_path / "a.tif", np.ones((4, 5), np.uint16), 2)
    assert tifffile.memmap(path, mode="r").sum() == 20


def test_a_mask_takes_little_room(tmp_path):
    mask = np.zeros((500, 500, 1), np.uint8)
    cv2.circle(mask, (250, 250), 100, 255, -1)
    path = written(png_rows(tmp_path / "a.png", 500, 500, 1), tmp_path / "a.png", mask, 64)
    assert path.stat().st_size < 4000
