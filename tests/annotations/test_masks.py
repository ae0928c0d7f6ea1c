import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from unetseg.annotations.masks import read_labels, read_mask, read_objects
from unetseg.errors import InputError
from unetseg.images.opening import Stored

IMAGE = Stored(np.arange(96, dtype=np.uint8).reshape(8, 12, 1))


def block(rows, columns, value=255, dtype=np.uint8):
    mask = np.zeros((8, 12), dtype)
    mask[rows, columns] = value
    return mask


def save(folder, mask):
    cv2.imwrite(str(folder / "0.png"), mask)
    return folder / "0.png"


@pytest.mark.parametrize(("value", "dtype"), [(1, np.uint8), (255, np.uint8), (1, np.uint16), (65535, np.uint16)])
def test_an_object_is_written_as_1_or_as_the_largest_value(tmp_path, value, dtype):
    mask = read_mask(save(tmp_path, block(np.s_[2:4], 5, value, dtype)), IMAGE)
    assert mask.box == (slice(2, 4), slice(5, 6))
    assert mask.mask.all()


@pytest.mark.parametrize("dtype", [bool, np.float16, np.float32, np.int32])
def test_a_mask_may_be_a_tiff_of_any_type(tmp_path, dtype):
    tifffile.imwrite(tmp_path / "0.tif", block(np.s_[2:4], 5, 1, dtype), photometric="minisblack")
    assert read_mask(tmp_path / "0.tif", IMAGE).box == (slice(2, 4), slice(5, 6))


def test_a_grey_mask_saved_as_rgb_is_a_mask(tmp_path):
    path = save(tmp_path, np.dstack([block(2, 5)] * 3))
    assert read_mask(path, IMAGE).box == (slice(2, 3), slice(5, 6))


def paletted(folder, mask, palette=(0, 0, 0, 128, 0, 0, 0, 0, 255)):
    image = Image.fromarray(mask)
    image.putpalette(palette)
    image.save(folder / "0.png")
    return folder / "0.png"


@pytest.mark.parametrize("colours", ["palette", "rgb"])
def test_each_colour_but_black_is_an_object_of_the_only_file_and_too_many_for_a_file_of_one(tmp_path, colours):
    two = block(2, 3, 1) + block(np.s_[3:5], 6, 2)
    path = paletted(tmp_path, two)
    if colours == "rgb":
        Image.open(path).convert("RGB").save(path)
    labels = read_labels(path, IMAGE)
    assert labels.max() == 2
    assert {int(labels[2, 3]), int(labels[3, 6])} == {1, 2}
    assert labels[3, 6] == labels[4, 6]
    with pytest.raises(InputError, match="a mask holds 0 for background"):
        read_mask(path, IMAGE)
    paletted(tmp_path, block(2, 5, 1))
    if colours == "rgb":
        Image.open(path).convert("RGB").save(path)
    assert read_mask(path, IMAGE).box == (slice(2, 3), slice(5, 6))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.uint32, np.float32])
def test_objects_that_differ_in_any_of_three_colours_of_any_type_are_told_apart(tmp_path, dtype):
    largest = 2**24 if dtype == np.float32 else np.iinfo(dtype).max
    colours = np.vstack([np.eye(3), [1, 1, 0], [0, 1, 1]]) * largest
    image = np.zeros((8, 12, 3), dtype)
    for number, colour in enumerate(colours):
        image[1:3, 2 * number + 1] = colour
    tifffile.imwrite(tmp_path / "0.tif", image, photometric="rgb")
    labels = read_labels(tmp_path / "0.tif", IMAGE)
    assert [len(set(labels[1:3, 2 * number + 1])) for number in range(5)] == [1] * 5
    assert len(set(labels[1, 1::2])) == 6  # the last is background
    assert not labels[0].any()


@pytest.mark.parametrize("value", [-1, 0.5])
@pytest.mark.parametrize("read", [read_labels, read_mask])
def test_colours_of_fractions_or_negative_numbers_are_refused(tmp_path, value, read):
    colour = np.dstack([block(2, 5, value, np.float32), *np.zeros((2, 8, 12), np.float32)])
    tifffile.imwrite(tmp_path / "0.tif", colour, photometric="rgb")
    with pytest.raises(InputError, match=f"0.tif: has the values .*{value}"):
        read(tmp_path / "0.tif", IMAGE)


COLOURS = np.random.default_rng(0).integers(30, 256, (20, 3))


def save_palette(folder, indices, colours, kind):
    """Save indices with the colours of the first ones; the rest are black."""
    palette = np.zeros((256, 3), np.uint8)
    palette[: len(colours)] = colours
    if kind == "tif":
        colormap = palette.T.astype(np.uint16) * 257
        tifffile.imwrite(folder / "0.tif", indices, photometric="palette", colormap=colormap)
    else:
        image = Image.fromarray(indices)
        image.putpalette(palette.ravel().tolist())
        image.save(folder / f"0.{kind}")
    return folder / f"0.{kind}"


def grid():
    """Give 30 objects of 4 pixels that do not touch."""
    indices = np.zeros((20, 18), np.uint8)
    for number in range(30):
        indices[4 * (number // 6) :, 3 * (number % 6) :][:2, :2] = number + 1
    return indices


@pytest.mark.parametrize("kind", ["png", "tif", "bmp"])
def test_objects_whose_colours_a_palette_repeats_are_told_apart(tmp_path, kind):
    colours = np.concatenate([[[0, 0, 0]], COLOURS, COLOURS])
    path = save_palette(tmp_path, grid(), colours, kind)
    assert np.array_equal(read_labels(path, None), grid())


@pytest.mark.parametrize("kind", ["png", "tif", "bmp"])
def test_objects_that_a_palette_shows_as_black_are_refused(tmp_path, kind):
    path = save_palette(tmp_path, grid(), np.concatenate([[[0, 0, 0]], COLOURS]), kind)
    with pytest.raises(InputError, match="its palette shows index 21 as black, which is background"):
        read_labels(path, None)
    path = save_palette(tmp_path, np.where(grid() == 25, np.uint8(25), np.uint8(0)), [[0, 0, 0]], kind)
    with pytest.raises(InputError, match="its palette shows index 25 as black"):
        read_mask(path, None)


@pytest.mark.parametrize("kind", ["png", "tif", "bmp"])
@pytest.mark.parametrize(("colours", "is_object"), [([[255, 0, 0], [0] * 3], 0), ([[9, 9, 9], [250, 0, 0]], 1)])
def test_of_two_colours_of_a_palette_black_is_background_or_else_index_0(tmp_path, kind, colours, is_object):
    indices = (grid() > 0).astype(np.uint8)
    path = save_palette(tmp_path, indices, colours, kind)
    assert np.array_equal(read_labels(path, None) > 0, indices == is_object)


@pytest.mark.parametrize("kind", ["png", "tif", "bmp"])
@pytest.mark.parametrize("read", [read_labels, read_mask])
def test_a_palette_of_two_colours_that_shows_0_as_white_is_refused(tmp_path, kind, read):
    inverting = np.repeat(np.arange(255, -1, -1)[:, None], 3, axis=1)
    path = save_palette(tmp_path, (grid() > 0) * np.uint8(255), inverting, kind)
    with pytest.raises(InputError, match=r"its palette shows 0 as white, which programs read in two ways; save 0 as"):
        read(path, None)


def test_objects_that_a_palette_shows_are_read_as_their_indices_without_gaps(tmp_path):
    some = np.where(grid() < 20, grid(), 0)
    path = save_palette(tmp_path, some * 2, COLOURS.repeat(2, axis=0), "png")
    assert np.array_equal(read_labels(path, None), some)


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.int32, np.uint8, np.uint16, np.uint32])
def test_the_largest_value_of_a_type_signed_or_not_makes_a_mask_of_parts(tmp_path, dtype):
    largest = np.iinfo(dtype).max
    mask = block(np.s_[0:2], np.s_[0:3], largest, dtype) + block(np.s_[5:7], np.s_[0:3], largest, dtype)
    tifffile.imwrite(tmp_path / "0.tif", mask, photometric="minisblack")
    labels = read_labels(tmp_path / "0.tif", IMAGE)
    assert (labels[0, 0], labels[5, 0], labels.max()) == (1, 2, 2)
    assert read_mask(tmp_path / "0.tif", IMAGE).mask.sum() == 12


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint32, np.int8, np.int16, np.int32, np.float32])
def test_a_label_image_may_have_any_type_and_any_numbers(tmp_path, dtype):
    expected = block(np.s_[0:2], np.s_[0:3], 1) + block(np.s_[5:7], np.s_[0:3], 2) + block(np.s_[0:3], np.s_[8:12], 3)
    tifffile.imwrite(tmp_path / "0.tif", (expected * 40).astype(dtype), photometric="minisblack")
    assert np.array_equal(read_labels(tmp_path / "0.tif", IMAGE), expected)
    regions = read_objects(tmp_path / "0.tif", 8, 12).regions
    assert [(region.row, region.column, region.mask.size) for region in regions] == [(0, 0, 6), (5, 0, 6), (0, 8, 12)]


@pytest.mark.parametrize("values", [[1, 2], [2, 2], [2, 1, 2, 1], [100, 200, 255]])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32])
def test_what_has_no_background_holds_classes_and_is_refused(tmp_path, values, dtype):
    classes = np.resize(np.repeat(values, 24), (8, 12)).astype(dtype)
    tifffile.imwrite(tmp_path / "0.tif", classes, photometric="minisblack")
    with pytest.raises(InputError, match=r"none of which is 0, the background; ilastik .* save its objects as 255"):
        read_labels(tmp_path / "0.tif", IMAGE)


@pytest.mark.parametrize(("value", "dtype"), [(1, np.uint8), (255, np.uint8), (1, np.uint16), (65535, np.uint16)])
def test_a_mask_may_be_all_object(tmp_path, value, dtype):
    path = save(tmp_path, np.full((8, 12), value, dtype))
    assert (read_labels(path, IMAGE) == 1).all()
    assert read_mask(path, IMAGE).mask.all()


@pytest.mark.parametrize("values", [(255, 255), (254, 255), (1, 1)])
def test_a_mask_of_one_value_holds_its_parts_and_254_counts_as_255(tmp_path, values):
    mask = block(np.s_[0:2], np.s_[0:3], values[0]) + block(np.s_[5:7], np.s_[0:3], values[1])
    labels = read_labels(save(tmp_path, mask), IMAGE)
    assert (labels[0, 0], labels[5, 0], labels.max()) == (1, 2, 2)


def test_a_bilevel_mask_is_a_mask(tmp_path):
    Image.fromarray(block(2, 5) > 0).save(tmp_path / "0.png")
    assert read_labels(tmp_path / "0.png", IMAGE)[2, 5] == 1
    assert read_mask(tmp_path / "0.png", IMAGE).box == (slice(2, 3), slice(5, 6))


def test_a_tiff_in_which_0_is_white_is_refused(tmp_path):
    tifffile.imwrite(tmp_path / "0.tif", block(2, 5), photometric="miniswhite")
    with pytest.raises(InputError, match="0 is white"):
        read_labels(tmp_path / "0.tif", IMAGE)


def disc(size=64):
    rows, columns = np.indices((size, size))
    return np.clip((20 - np.hypot(rows - 30, columns - 33)) * 100 + 128, 0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    ("values", "rule"),
    [
        (disc(), "in [0-9]{3} places as at blurred edges"),
        (np.random.default_rng(0).integers(0, 200, (64, 64), np.uint8), "change from pixel to pixel as in a grey"),
    ],
)
def test_what_is_grey_is_no_label_image(tmp_path, values, rule):
    with pytest.raises(InputError, match=rf"0.png: has the values .*{rule}.*; a mask holds .*, a label image holds"):
        read_labels(save(tmp_path, values), None)


def squares(values, inside=None):
    """Give six squares of 8x8 apart, with a border of one pixel if `inside` is another value."""
    rows = np.zeros((32, 48), np.uint8)
    for number, value in enumerate(values):
        top, left = 16 * (number // 3) + 4, 16 * (number % 3) + 4
        rows[top : top + 8, left : left + 8] = value
        rows[top + 1 : top + 7, left + 1 : left + 7] = inside or value
    return rows


def discs(count):
    """Give a mask of discs, apart."""
    image = np.zeros((64, 64), np.uint8)
    for centre in [(20, 18), (45, 43)][:count]:
        cv2.circle(image, centre, 10, 255, -1)
    return image


def bordered(mask):
    """Give an object of class 15 with a border of 255, two pixels wide, as Pascal VOC has it in large images."""
    grown = cv2.dilate(mask, np.ones((3, 3), np.uint8))
    return np.where(cv2.erode(mask, np.ones((3, 3), np.uint8)) > 0, 15, np.where(grown > 0, 255, 0)).astype(np.uint8)


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("how", [cv2.INTER_LINEAR, cv2.INTER_AREA, cv2.INTER_CUBIC])
@pytest.mark.parametrize("factor", [0.5, 0.7, 1.5, 2.1])
def test_masks_of_few_objects_that_were_resized_with_blurred_edges_are_refused(tmp_path, count, how, factor):
    resized = cv2.resize(discs(count), None, fx=factor, fy=factor, interpolation=how)
    assert len(np.unique(resized)) > 2
    with pytest.raises(InputError, match=r"0.png: has the values .*; a mask holds .*, a label image holds"):
        read_labels(save(tmp_path, resized), None)


@pytest.mark.parametrize(
    ("values", "rule"),
    [
        (squares([128] * 3, inside=255), "has the values 128, 255, of which most lie along larger ones as at blurred"),
        (squares([255, 128, 255, 128, 255, 128]), "has the values 128, 255, in 6 places far apart as of classes"),
        (
            np.where(squares([1] * 6, inside=2) == 1, 255, squares([1, 2, 3, 4, 5, 6])).astype(np.uint8),
            "has .* all around",
        ),
        (bordered(discs(1)), "has the values 15, 255, of which one lies all around most others, as a border does"),
        (squares([1, 2, 1, 1, 1, 1]), "has the values 1, 2, in 6 places far apart as of classes"),
        (squares([1, 2, 3, 3, 2, 1]), "has the values 1, 2, 3, in 6 places far apart as of classes"),
    ],
)
def test_borders_and_classes_are_no_objects(tmp_path, values, rule):
    with pytest.raises(InputError, match=f"0.png: {rule}"):
        read_labels(save(tmp_path, values), None)


@pytest.mark.parametrize(("value", "dtype"), [(128, np.uint8), (2, np.uint8), (4095, np.uint16)])
def test_the_only_mask_of_an_image_may_have_any_one_value_and_its_parts_are_objects(tmp_path, value, dtype):
    assert read_labels(save(tmp_path, (discs(2) > 0) * dtype(value)), None).max() == 2


def test_an_object_in_parts_is_one_object_of_a_label_image(tmp_path):
    lone = squares([1] * 6).astype(np.uint16) * 2
    assert np.array_equal(read_labels(save(tmp_path, lone), None), lone // 2)
    cut = squares([1, 2, 0, 3, 4, 0]).astype(np.uint16)
    cut[7:9, 2:14] = 5
    cut[28:30, 40:42] = 2
    assert np.array_equal(read_labels(save(tmp_path, cut), None), cut)
    cross = np.zeros((20, 20), np.uint16)
    cross[8:12, 2:18] = 3
    cross[2:18, 8:12] = 7
    assert np.array_equal(read_labels(save(tmp_path, cross), None), cross // 3)


@pytest.mark.parametrize(
    ("value", "dtype"),
    [(255, np.uint8), (255, np.uint16), (65535, np.uint16), (65535, np.float32), (2**31 - 1, np.int32)],
)
def test_a_region_marked_as_not_annotated_is_no_object(tmp_path, value, dtype):
    labels = squares([1, 2, 0, 4, 7, 0]).astype(dtype)
    labels[:, 36:] = value
    tifffile.imwrite(tmp_path / "0.tif", labels, photometric="minisblack")
    told = f"0.tif: has the values 1, 2, 4, 7, .*, of which {value} covers more than any other, as what is not"
    with pytest.raises(InputError, match=f"{told} annotated; crop image and labels to .*, or set {value} to 0"):
        read_labels(tmp_path / "0.tif", None)


def test_colours_mark_nothing_as_not_annotated(tmp_path):
    image = np.zeros((100, 300, 3), np.uint8)
    image[5:25, 5:25], image[5:25, 50:70], image[40:80, 100:150] = (255, 0, 0), (0, 100, 0), (255, 255, 0)
    cv2.imwrite(str(tmp_path / "0.png"), image[..., ::-1])  # red, green and yellow
    assert read_labels(tmp_path / "0.png", None).max() == 3


def test_the_largest_value_numbers_an_object_that_is_no_larger_or_follows_on_others(tmp_path):
    alike = squares([1, 2, 3, 4, 5, 255])
    assert read_labels(save(tmp_path, alike), None).max() == 6
    for values, largest, dtype in (([1, 2, 0, 4, 200, 0], 255, np.uint8), ([1, 2, 0, 4, 40000, 0], 65535, np.uint16)):
        following = np.zeros((32, 48), dtype)
        for number, value in enumerate(values):
            following[squares(range(1, 7)) == number + 1] = value
        following[:, 36:] = largest
        assert read_labels(save(tmp_path, following), None).max() == 5


def test_cells_that_touch_are_no_border_of_each_other(tmp_path):
    cells = np.zeros((16, 16), np.uint8)
    cells[:, :7], cells[:, 7:11] = 1, 2
    assert np.array_equal(read_labels(save(tmp_path, cells), None), cells)
    cells[:5], cells[5:10], cells[10:, :4] = 1, 2, 3
    cells[3:7, 6:9] = 4
    assert np.array_equal(read_labels(save(tmp_path, cells), None), cells)


def test_an_object_within_another_is_an_object(tmp_path):
    inner = squares([1, 2, 3, 4, 5, 6]).astype(np.uint16)
    inner[7:9, 7:9] = 7
    assert np.array_equal(read_labels(save(tmp_path, inner), None), inner)
    nested = np.where(inner == 1, inner, 0) + np.where(inner == 7, 2, 0).astype(np.uint16)
    assert read_labels(save(tmp_path, nested), None).max() == 2


def test_jpeg_holds_no_label_image(tmp_path):
    cv2.imwrite(str(tmp_path / "1.jpg"), disc(), [cv2.IMWRITE_JPEG_QUALITY, 70])
    with pytest.raises(InputError, match="which JPEG blurs, so save it as PNG"):
        read_labels(tmp_path / "1.jpg", None)


@pytest.mark.parametrize(
    ("mask", "rule"),
    [
        (np.zeros((8, 13), np.uint8), "is 8x13 pixels, its image 8x12; they must be of one size"),
        (block(1, 1, 3), "has the values 3; a mask holds 0 for background and 255"),
        (block(1, np.s_[1:3], [1, 255]), "has the values 1, 255; a mask holds"),
        (np.arange(96, dtype=np.uint8).reshape(8, 12)[::-1], r"has the values 0, 1, 2, 3, 4 … \(96 in all\); a mask"),
        (np.dstack([block(1, 1), block(1, 2), block(1, 1)]), "has the values .*; a mask holds 0 for background"),
        (IMAGE.pixels, "is the image itself; a mask holds 0 for background"),
    ],
)
def test_what_is_no_mask_of_the_image_is_refused_with_the_rule(tmp_path, mask, rule):
    path = save(tmp_path, mask)
    with pytest.raises(InputError, match=f"^{path}: {rule}"):
        read_mask(path, IMAGE)


@pytest.mark.parametrize("value", [-1, 0.5])
def test_values_that_only_a_tiff_can_hold_are_refused_too(tmp_path, value):
    tifffile.imwrite(tmp_path / "0.tif", block(1, 1, value, np.float32))
    with pytest.raises(InputError, match=f"has the values .*{value}"):
        read_mask(tmp_path / "0.tif", IMAGE)


def test_an_image_that_a_viewer_turns_and_a_mask_that_it_does_not_are_refused(tmp_path):
    turned = Stored(IMAGE.pixels, orientation=6)
    with pytest.raises(InputError, match="has orientation 1, its image 6; save both upright"):
        read_mask(save(tmp_path, block(1, 1)), turned)
