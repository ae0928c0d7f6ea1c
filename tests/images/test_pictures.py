import io
import struct

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from unetseg.errors import InputError
from unetseg.images.pictures import decode, read_image, read_picture, to_rgb

GREY = np.arange(96, dtype=np.uint8).reshape(8, 12)
RGB = np.dstack([GREY, GREY + 50, GREY + 100])


def pil(image, kind, **options):
    content = io.BytesIO()
    image.save(content, kind, **options)
    return content.getvalue()


def tiff(pixels, **options):
    content = io.BytesIO()
    tifffile.imwrite(content, pixels, **options)
    return content.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF"])
def test_rgb_comes_back_as_it_was(kind):
    assert np.array_equal(decode(pil(Image.fromarray(RGB), kind)).pixels, RGB)


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF"])
def test_grey_has_one_channel(kind):
    assert np.array_equal(decode(pil(Image.fromarray(GREY), kind)).pixels, GREY[..., None])


def test_jpeg_comes_back_nearly_as_it_was():
    flat = np.full((16, 16, 3), (200, 100, 50), np.uint8)
    assert np.allclose(decode(pil(Image.fromarray(flat), "JPEG", quality=95)).pixels, flat, atol=3)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_alpha_is_dropped(kind):
    rgba = Image.fromarray(np.dstack([RGB, GREY]))
    assert np.array_equal(decode(pil(rgba, kind)).pixels, RGB)


def test_grey_with_alpha_is_that_grey():
    pixels = decode(pil(Image.fromarray(np.dstack([GREY, GREY])), "PNG")).pixels
    assert np.array_equal(to_rgb(pixels), np.dstack([GREY] * 3))


def test_a_palette_becomes_its_colours():
    image = Image.fromarray((GREY > 50).astype(np.uint8))
    image.putpalette([10, 20, 30, 200, 150, 100])
    assert np.array_equal(
        decode(pil(image, "PNG")).pixels, np.where((GREY > 50)[..., None], (200, 150, 100), (10, 20, 30))
    )


@pytest.mark.parametrize("dtype", [np.uint16, np.int16, np.int32, np.uint32, np.float16, np.float32, np.float64])
def test_other_types_are_scaled_by_their_own_range(dtype):
    values = GREY.astype(dtype) * 2 + 300
    expected = np.rint(GREY / 95 * 255)
    assert np.array_equal(to_rgb(decode(tiff(values)).pixels)[..., 0], expected)


def test_a_twelve_bit_picture_in_a_sixteen_bit_png_is_not_black():
    content = cv2.imencode(".png", GREY.astype(np.uint16) * 43)[1].tobytes()
    image = to_rgb(decode(content).pixels)
    assert image.min() == 0
    assert image.max() == 255


def test_sixteen_bit_colours_keep_their_order_and_share_one_range():
    wide = np.dstack([GREY * 0, GREY, GREY * 2]).astype(np.uint16)
    image = to_rgb(decode(tiff(wide, photometric="rgb")).pixels)
    assert image[..., 0].max() == 0
    assert image[-1, -1].tolist() == [0, 128, 255]


def test_a_flat_sixteen_bit_picture_is_black():
    assert to_rgb(np.full((8, 8, 1), 500, np.uint16)).max() == 0


def test_the_widest_floats_are_scaled_without_overflow():
    wide = np.array([[[-3e38], [0], [3e38]]], np.float32)
    assert to_rgb(wide)[0, :, 0].tolist() == [0, 128, 255]


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e300])
def test_values_that_are_no_usable_numbers_are_refused_and_counted(value):
    floats = GREY.astype(np.float64)
    floats[0, :3] = value
    with pytest.raises(InputError, match=r"^has 3 values that are NaN or infinite$"):
        decode(tiff(floats))


def test_an_orientation_turns_nothing():
    exif = Image.Exif()
    exif[0x0112] = 6
    picture = decode(pil(Image.fromarray(RGB), "JPEG", exif=exif))
    assert picture.pixels.shape == (8, 12, 3)
    assert picture.header.orientation == 6


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "TIFF"])
def test_a_truncated_file_is_one_error_and_no_noise(kind, capfd):
    content = pil(Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)), kind)
    with pytest.raises(InputError, match=r"^is "):
        decode(content[: len(content) * 2 // 3])
    assert capfd.readouterr() == ("", "")


def test_an_error_names_the_file(tmp_path):
    path = tmp_path / "a.png"
    path.write_text("text")
    with pytest.raises(InputError, match=f"^{path}: is not a PNG"):
        read_image(path)


@pytest.mark.parametrize("name", ["missing.png", "folder"])
def test_a_file_that_cannot_be_opened_is_named(tmp_path, name):
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match=f"{name}: cannot be read: "):
        read_picture(tmp_path / name)


def test_an_image_is_rgb_of_eight_bit(tmp_path):
    Image.fromarray(GREY).save(tmp_path / "a.tif")
    assert np.array_equal(read_image(tmp_path / "a.tif"), np.dstack([GREY] * 3))


@pytest.mark.parametrize(
    "options", [{"planarconfig": "separate"}, {"compression": "zlib"}, {"tile": (16, 16)}, {"byteorder": ">"}]
)
def test_a_tiff_may_be_laid_out_in_any_way(options):
    pixels = np.moveaxis(RGB, 2, 0) if "planarconfig" in options else RGB
    assert np.array_equal(decode(tiff(pixels, photometric="rgb", **options)).pixels, RGB)


@pytest.mark.parametrize("compression", ["tiff_lzw", "jpeg", "packbits"])
def test_a_tiff_may_be_compressed(compression):
    flat = np.full((16, 16, 3), (200, 100, 50), np.uint8)
    content = pil(Image.fromarray(flat), "TIFF", compression=compression)
    assert np.allclose(decode(content).pixels, flat, atol=3)


def test_a_tiff_of_one_bit_is_black_and_white():
    assert np.array_equal(to_rgb(decode(tiff(GREY > 50, photometric="minisblack")).pixels)[..., 0], (GREY > 50) * 255)


@pytest.mark.parametrize(
    ("tag", "kind", "count", "value"),
    [
        (256, 4, 2, 8),  # two widths
        (258, 3, 3, 8),  # three depths for one channel
        (258, 2827, 1, 8),  # a depth of no known type
        (273, 2827, 1, 8),  # no place of the pixels
        (277, 3, 1, 3),  # more channels than are there
        (277, 3, 1, 0),
        (278, 4, 1, 0),
        (279, 4, 1, 2**32 - 1),  # more bytes than are there
    ],
)
def test_a_tiff_with_a_wrong_entry_is_an_input_error_or_a_picture_of_its_size(tag, kind, count, value):
    content = bytearray(tiff(GREY, metadata=None))
    (entries,) = struct.unpack_from("<H", content, 8)
    for at in range(10, 10 + 12 * entries, 12):
        if struct.unpack_from("<H", content, at)[0] == tag:
            struct.pack_into("<HHII", content, at, tag, kind, count, value)
    try:
        assert decode(bytes(content)).pixels.shape == (8, 12, 1)
    except InputError as error:
        assert str(error).startswith("is ")
