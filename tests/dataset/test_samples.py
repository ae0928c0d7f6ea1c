import zipfile
from collections import Counter

import cv2
import numpy as np
import pytest

from unetseg.dataset.samples import find_samples, modality, read_sample
from unetseg.errors import InputError
from unetseg.images.intensity import to_rgb
from unetseg.images.rasters import read_raster

RGB = np.arange(8 * 12 * 3, dtype=np.uint8).reshape(8, 12, 3)


def block(rows, columns):
    mask = np.zeros((8, 12), np.uint8)
    mask[rows, columns] = 255
    return mask


BAR = block(1, np.s_[2:5])


def save(folder, image=RGB, masks=(BAR,), name="image.png"):
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    if image is not None:
        cv2.imwrite(str(folder / "images" / name), image[..., ::-1] if image.ndim == 3 else image)
    for number, mask in enumerate(masks):
        cv2.imwrite(str(folder / "masks" / f"{number}.png"), mask)
    return folder


def test_samples_are_the_folders_in_the_order_of_their_names(tmp_path):
    for name in ("b", "a", ".hidden"):
        (tmp_path / name).mkdir()
    (tmp_path / "groups.csv").write_text("id,group\n")
    assert [path.name for path in find_samples(tmp_path)] == [".hidden", "a", "b"]


def test_a_folder_without_samples_is_an_error(tmp_path):
    with pytest.raises(InputError, match="contains no sample; a sample is a folder with images/ and masks/"):
        find_samples(tmp_path)


def test_a_sample_is_an_image_and_its_labels(tmp_path):
    sample = read_sample(save(tmp_path / "a", masks=[BAR, block(6, 0)]))
    assert sample.path == tmp_path / "a" / "images" / "image.png"
    assert np.array_equal(sample.image, RGB)
    assert np.array_equal(sample.labels, BAR // 255 + block(6, 0) // 255 * 2)
    assert np.array_equal(sample.stored.pixels, RGB)
    assert sample.stored.channels == 3
    assert sample.warnings == []


def test_channels_are_those_of_the_file_with_alpha(tmp_path):
    bgra = np.dstack([RGB, np.full(RGB.shape[:2], 255, np.uint8)])
    folder = save(tmp_path / "a", None)
    cv2.imwrite(str(folder / "images" / "a.png"), bgra)
    assert read_sample(folder).stored.channels == 4


def test_all_problems_of_a_sample_are_told_at_once(tmp_path):
    folder = save(tmp_path / "a", masks=[block(0, 0) // 5, block(1, 1)])
    (folder / "images" / "image.png").write_bytes(b"")
    with pytest.raises(InputError) as caught:
        read_sample(folder)
    assert str(caught.value).splitlines() == [
        f"{folder}/images/image.png: is empty, 0 bytes",
        f"{folder}/masks/0.png: has the values 51; a mask holds 0 for background and 255 (or 1) for the object",
    ]


@pytest.mark.parametrize("missing", ["folder", "file"])
def test_a_sample_needs_an_image_and_a_mask(tmp_path, missing):
    folder = save(tmp_path / "a", None, [])
    if missing == "folder":
        (folder / "images").rmdir()
        (folder / "masks").rmdir()
    with pytest.raises(InputError) as caught:
        read_sample(folder)
    assert str(caught.value).splitlines() == [
        f"{folder}/images: no image; a sample has exactly one",
        f"{folder}/masks: no mask; for an image without objects, add one mask that is all zero",
    ]


def test_two_images_are_refused(tmp_path):
    save(tmp_path / "a", name="one.png")
    save(tmp_path / "a", name="two.png")
    with pytest.raises(InputError, match=r"/images: 2 files, such as one.png and two.png; a sample has exactly one$"):
        read_sample(tmp_path / "a")


def test_a_folder_among_the_masks_is_named(tmp_path):
    (save(tmp_path / "a") / "masks" / "more").mkdir()
    with pytest.raises(InputError, match="masks/more: is a folder, and not an OME-Zarr image"):
        read_sample(tmp_path / "a")


def test_masks_that_equal_their_image_are_named(tmp_path):
    mask = block(np.s_[2:4], np.s_[2:4])
    assert "equal the image" in read_sample(save(tmp_path / "a", mask, [mask])).warnings[0]
    assert read_sample(save(tmp_path / "b", mask // 2 + 3, [mask])).warnings == []


@pytest.mark.parametrize(
    ("background", "object_colour", "kind"),
    [
        ((5, 5, 5), (200, 200, 200), "dark_grey"),
        ((220, 220, 220), (90, 90, 90), "bright_grey"),
        ((230, 200, 220), (90, 40, 120), "colour"),
        ((0, 0, 0), (30, 60, 250), "colour"),
        ((10, 12, 11), (150, 151, 149), "dark_grey"),
    ],
)
def test_the_kind_of_an_image_is_told_from_its_pixels(background, object_colour, kind):
    image = np.full((20, 20, 3), background, np.uint8)
    image[5:10, 5:12] = object_colour
    assert modality(image) == kind


@pytest.mark.slow
@pytest.mark.realdata
def test_the_real_images_are_of_the_kinds_that_were_counted_by_eye(realdata):
    with zipfile.ZipFile(realdata / "stage1_train.zip") as archive:
        images = [name for name in archive.namelist() if "/images/" in name and name.endswith(".png")]
        kinds = Counter(modality(to_rgb(read_raster(archive.read(name))[0])) for name in images)
    assert kinds == {"dark_grey": 541, "colour": 107, "bright_grey": 16}
