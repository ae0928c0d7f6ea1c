import re

import cv2
import numpy as np
import pytest
from values import PARAMS

from unetseg.dataset.checking import check_samples, unlike_pixel_size

IMAGE = np.arange(96, dtype=np.uint8).reshape(8, 12)


def save(folder, image=IMAGE, masks=()):
    for name, files in (("images", [] if image is None else [image]), ("masks", masks)):
        (folder / name).mkdir(parents=True)
        for number, pixels in enumerate(files):
            cv2.imwrite(str(folder / name / f"{number}.png"), pixels)


def test_every_sample_is_checked_whatever_is_wrong_with_others(tmp_path):
    bar = np.zeros_like(IMAGE)
    bar[1, 2:5] = 255
    save(tmp_path / "a", None, [bar])
    save(tmp_path / "b", masks=[bar, bar])
    save(tmp_path / "c", masks=[])
    checked = check_samples(tmp_path, PARAMS.data, PARAMS.image)
    assert checked.findings.used == len(checked.rows) == len(checked.fingerprints) == 1
    assert list(checked.findings.unusable) == ["a", "c"]
    assert checked.findings.foreground


def test_a_kind_of_one_image_and_objects_of_two_magnifications_are_warned_of(tmp_path):
    for number in range(10):
        mask = np.zeros((64, 64), np.uint8)
        width = 4 if number < 5 else 40
        mask[8 : 8 + width, 8 : 8 + width] = 255
        image = np.full((64, 64, 3), (0, 0, number), np.uint8) if number == 3 else mask // 2 + np.uint8(number)
        if number == 3:
            image[..., 2] += 100
        save(tmp_path / f"s{number}", image, [mask])
    warnings = list(check_samples(tmp_path, PARAMS.data, PARAMS.image).warnings())
    assert "objects are 5 pixels across in s1 and 45 in s8: mixed magnifications?" in warnings
    assert any(line.startswith("s3: is the only image of the kind colour") for line in warnings)


@pytest.mark.parametrize(
    ("given", "mode", "told"),
    [(0.5, "resize", "1"), (0.95, "resize", None), (0.0, "resize", None), (0.5, "tiles", None), (1.0, "tiles", "0.5")],
)
def test_a_size_of_pixels_that_is_not_that_of_the_input_is_warned_of(given, mode, told):
    row = {"height": "256", "width": "1024", "pixel_size": "0.5"}
    lines = list(unlike_pixel_size([row, row | {"pixel_size": ""}], given, 256, mode))
    rule = f"by 1 files the pixels of the model's input are {told} µm, in the median; give that, or 0"
    assert [line.startswith(f"image.pixel_size: {given:g}: {rule}") for line in lines] == [True] * bool(told)


@pytest.mark.parametrize(
    ("given", "mode", "told"),
    [
        (0.01, "tiles", "in 2 of 4 files .*, from 0.01 µm .such as s0. to 0.04 .such as s2.; .* to one pixel size$"),
        (0.025, "tiles", "in 4 of 4 files"),
        (0.01, "resize", "in 3 of 4 files .*, from 0.01 µm .such as s0. to 0.04 .*; give 0, .* one height and width$"),
        (0.0, "tiles", None),
    ],
)
def test_pixels_of_several_sizes_are_warned_of_whatever_their_median(given, mode, told):
    sizes, sides = ("0.01", "0.01", "0.04", "0.04"), ("256", "512", "256", "256")
    rows = [
        {"id": f"s{number}", "height": side, "width": side, "pixel_size": size}
        for number, (size, side) in enumerate(zip(sizes, sides, strict=True))
    ]
    lines = list(unlike_pixel_size(rows, given, 256, mode))
    assert [bool(re.match(f"image.pixel_size: {given:g}: {told}", line)) for line in lines] == [True] * bool(told)


@pytest.mark.parametrize(("given", "warned"), [(0.98, False), (0.5, True)])
def test_pixels_that_differ_by_less_than_a_tenth_are_of_one_size(given, warned):
    rows = [{"height": "256", "width": "256", "pixel_size": size} for size in ("0.97", "1.0", "1.05")]
    lines = list(unlike_pixel_size(rows, given, 256, "tiles"))
    assert ["are 1 µm, in the median; give that" in line for line in lines] == [True] * warned
