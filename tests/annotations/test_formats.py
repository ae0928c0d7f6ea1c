from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
import zarr

from unetseg.annotations import zarrs
from unetseg.annotations.formats import FORMATS, YELLOW
from unetseg.annotations.writing import ImageInfo
from unetseg.images.inputs import Input
from unetseg.images.opening import open_image
from unetseg.objects.strips import Strip

HEIGHT, WIDTH = 9, 11
PROBABILITY = np.random.default_rng(0).random((HEIGHT, WIDTH), np.float32)
LABELS = np.zeros((HEIGHT, WIDTH), np.int32)
LABELS[2:6, 3:8] = 1
LABELS[2:6, 8:10] = 2
IMAGE = np.random.default_rng(1).integers(0, 200, (HEIGHT, WIDTH, 3), np.uint8)


@pytest.fixture
def written(tmp_path):
    cv2.imwrite(str(tmp_path / "image.png"), IMAGE[..., ::-1])

    def write(kind, threshold=0.5, smallest=1, step=2, size=(HEIGHT, WIDTH)):
        suffix, writer = FORMATS[kind].name, FORMATS[kind].write
        about = ImageInfo(
            Input(tmp_path / "image.png", "image.png", None, "image"), "image.png", *size, threshold, smallest
        )
        with writer(tmp_path / f"out{suffix}", about) as add:
            for top in range(0, HEIGHT, step):
                add(Strip(top, PROBABILITY[top : top + step], LABELS[top : top + step], []))
        return str(tmp_path / f"out{suffix}")

    return write


@pytest.mark.parametrize("threshold", [0.2, 0.5, float(PROBABILITY[3, 4])])
def test_a_mask_is_255_from_the_threshold_on(written, threshold):
    mask = cv2.imread(written("mask", threshold), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(mask, np.where(np.float32(threshold) <= PROBABILITY, 255, 0))
    assert mask.dtype == np.uint8


def test_a_probability_keeps_16_bit(written):
    stored = tifffile.imread(written("probability"))
    assert stored.dtype == np.uint16
    assert np.abs(stored / 65535 - PROBABILITY).max() <= 0.5001 / 65535


def test_labels_are_the_objects_numbers(written):
    assert np.array_equal(tifffile.imread(written("labels")), LABELS)


@pytest.mark.parametrize(
    ("size", "smallest", "dtype"), [((255, 257), 1, "u2"), ((256, 256), 1, "u4"), ((999, 999), 16, "u2")]
)
def test_labels_have_32_bit_where_16_might_not_hold_them(tmp_path, size, smallest, dtype):
    about = ImageInfo(Input(tmp_path / "none.png", "none.png", None, "none"), "none.png", *size, 0.5, smallest)
    with FORMATS["labels"].write(tmp_path / "a.tif", about) as add:
        add(Strip(0, np.zeros(size, np.float32), np.zeros(size, np.int32), []))
    assert tifffile.imread(tmp_path / "a.tif").dtype == np.dtype(dtype)


@pytest.mark.parametrize("step", [1, 2, 4, HEIGHT])
def test_an_overlay_is_the_image_with_the_objects_outlined_whatever_the_strips(written, step):
    overlay = cv2.imread(written("overlay", step=step))[..., ::-1]
    outline = (overlay == YELLOW).all(axis=2)
    expected = np.zeros((HEIGHT, WIDTH), bool)
    expected[[2, 6], 3:10] = True
    expected[2:6, [3, 8, 10]] = True
    assert np.array_equal(outline, expected)
    assert np.array_equal(overlay[~outline], IMAGE[~outline])


def test_an_ome_zarr_holds_the_probability_and_the_objects_as_its_labels(written, monkeypatch):
    monkeypatch.setattr(zarrs, "CHUNK", 4)
    path = Path(written("zarr", step=3))
    with open_image(path, channel=0) as image, open_image(path / "labels" / "objects", channel=0) as labels:
        stored = image.stored(0, HEIGHT)[..., 0]
        assert np.array_equal(labels.stored(0, HEIGHT)[..., 0], LABELS)
    assert np.abs(stored / 65535 - PROBABILITY).max() <= 0.5001 / 65535
    group = zarr.open_group(path)
    assert group["labels"].attrs["ome"]["labels"] == ["objects"]
    names = [group[array].metadata.dimension_names for array in ("0", "labels/objects/0")]
    assert names == [("y", "x")] * 2  # as OME-Zarr 0.5 asks for
