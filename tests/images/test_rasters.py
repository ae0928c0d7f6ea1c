import io
import struct
import zlib

import cv2
import imagecodecs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from unetseg.errors import InputError
from unetseg.images import rasters
from unetseg.images.rasters import Header, read_raster

GREY = np.arange(10 * 12, dtype=np.uint8).reshape(10, 12)
RGB = np.dstack([GREY, GREY + 50, GREY + 100])
NOISE = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)


def encode(pixels, kind, **options):
    content = io.BytesIO()
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    image.save(content, kind, **options)
    return content.getvalue()


def chunk(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(height, width, *extra, depth=8, colour=0, rows=b""):
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    return b"".join([b"\x89PNG\r\n\x1a\n", header, *extra, chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")])


def exif(orientation):
    block = Image.Exif()
    block[0x0112] = orientation
    return block


def alpha(value=255):
    return np.full((10, 12, 1), value, np.uint8)


PALETTE = Image.fromarray((GREY > 50).astype(np.uint8))
PALETTE.putpalette([10, 20, 30, 200, 150, 100])


@pytest.mark.parametrize(
    ("data", "pixels", "header"),
    [
        (encode(RGB, "PNG"), RGB, Header(10, 12, 3)),
        (encode(RGB, "BMP"), RGB, Header(10, 12, 3)),
        (encode(RGB, "JPEG2000", irreversible=False), RGB, Header(10, 12, 3)),
        (encode(GREY, "PNG"), GREY[..., None], Header(10, 12, 1)),
        (encode(GREY, "BMP"), GREY[..., None], Header(10, 12, 1)),
        (encode(np.dstack([RGB, alpha()]), "PNG"), RGB, Header(10, 12, 4)),
        (encode(np.dstack([GREY, alpha(7)]), "PNG"), GREY[..., None], Header(10, 12, 2)),
        (
            encode(PALETTE, "PNG"),
            np.where((GREY > 50)[..., None], (200, 150, 100), (10, 20, 30)),
            Header(10, 12, 3),
        ),
        (
            encode(PALETTE, "BMP"),
            np.where((GREY > 50)[..., None], (200, 150, 100), (10, 20, 30)),
            Header(10, 12, 3),
        ),
        (encode(GREY > 50, "PNG"), (GREY > 50)[..., None] * np.uint8(255), Header(10, 12, 1)),
        (
            imagecodecs.png_encode(RGB.astype(np.uint16) * 257),
            RGB.astype(np.uint16) * 257,
            Header(10, 12, 3),
        ),
    ],
)
def test_pixels_come_back_as_they_were_stored(data, pixels, header):
    read, told = read_raster(data)
    assert np.array_equal(read, pixels)
    assert told == header


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}, {"restart_marker_rows": 1}])
def test_a_jpeg_of_any_coding_comes_back_nearly_as_it_was(options):
    flat = np.full((16, 16, 3), (200, 100, 50), np.uint8)
    assert np.allclose(read_raster(encode(flat, "JPEG", quality=95, **options))[0], flat, atol=3)


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_an_orientation_is_told_and_turns_nothing(kind):
    pixels, header = read_raster(encode(RGB, kind, exif=exif(6)))
    assert pixels.shape == RGB.shape
    assert header.orientation == 6


@pytest.mark.parametrize(
    ("data", "rule"),
    [
        (b"", "is empty, 0 bytes"),
        (b"only text", "is not one of PNG, JPEG, JPEG2000, BMP, whatever its name says"),
        (encode(RGB, "GIF"), "is not one of PNG"),
        (png(1, 1), "is 1x1 pixels; at least 8x8 are needed"),
        (png(20_000, 20_000), "is 20000x20000 pixels; at most 100,000,000 in all are read"),
        (png(9_000, 10_000, depth=16, colour=6), "unpacks to 687 MiB; at most 512 MiB"),
        (png(10, 12, chunk(b"acTL", struct.pack(">II", 2, 0))), "is animated"),
        (encode(RGB, "PNG")[:-20], "is damaged or cut off"),
        (encode(RGB, "PNG").replace(b"IHDR", b"IHDX"), "is damaged or cut off"),
        (encode(RGB, "JPEG")[:30], "is damaged or cut off"),
        (b"\xff\xd8\xff\0" + bytes(30), "is damaged or cut off"),
        (b"BM\0\0", "is damaged or cut off"),
        (encode(Image.fromarray(RGB).convert("CMYK"), "JPEG"), "is a CMYK image; save it as RGB"),
        (encode(RGB, "MPO", save_all=True, append_images=[Image.fromarray(RGB)]), "holds several pictures"),
        (encode(np.dstack([RGB, GREY]), "PNG"), "has an alpha channel that varies; save it flat"),
        (encode(np.dstack([GREY, GREY]), "PNG"), "has an alpha channel that varies"),
    ],
)
def test_what_cannot_be_used_is_refused_with_the_rule(data, rule):
    with pytest.raises(InputError, match=f"^{rule}"):
        read_raster(data)


def changed(data, at, content):
    return data[:at] + content + data[at + len(content) :]


JPEG = encode(NOISE, "JPEG")
ROWS = b"".join(b"\0" + bytes(range(12)) for _ in range(10))


@pytest.mark.parametrize(
    "data",
    [
        changed(JPEG, len(JPEG) // 2, bytes(60)),
        changed(JPEG, len(JPEG) - 80, bytes(60)),
        JPEG[: len(JPEG) // 2] + b"\xff\xd9",
        JPEG[:-2],
        changed(JPEG, JPEG.index(b"\xff\xc0") + 5, struct.pack(">H", 400)),  # higher than its pixels
        JPEG[:-2] + bytes(60) + JPEG[-2:],
        encode(NOISE, "BMP")[:-100],
        changed(encode(NOISE, "BMP"), 18, struct.pack("<i", 640)),
        png(10, 12, rows=ROWS[:70]),
        png(10, 12, rows=b"\7" + ROWS[1:]),
        png(10, 12, chunk(b"PLTE", bytes(range(9))), colour=3, rows=ROWS),  # three colours, and pixels of twelve
        png(10, 12, colour=3, rows=ROWS),
        encode(NOISE, "PNG")[:-30] + encode(NOISE, "PNG")[-12:],
        encode(NOISE, "JPEG2000")[:-500],
    ],
)
def test_damage_is_an_error_and_never_black_or_grey(data, capfd):
    with pytest.raises(InputError, match=r"^is [^\n<]*damaged[^\n<]*$"):
        read_raster(data)
    assert capfd.readouterr() == ("", "")


def test_pixels_are_not_decoded_beyond_the_limit(monkeypatch):
    monkeypatch.setattr(rasters, "MAX_BYTES", 10 * 12 * 3 - 1)
    with pytest.raises(InputError, match="unpacks to"):
        read_raster(encode(RGB, "PNG"))


@given(
    start=st.sampled_from(
        [encode(RGB, "PNG"), encode(RGB, "JPEG", exif=exif(3)), encode(RGB, "BMP"), encode(PALETTE, "PNG")]
    ),
    at=st.integers(0, 400),
    noise=st.binary(max_size=20),
)
def test_damage_anywhere_is_an_input_error_or_an_image_of_its_size(start, at, noise):
    try:
        pixels, header = read_raster(changed(start, at, noise))
        assert pixels.shape[:2] == (header.height, header.width)
    except InputError as error:
        assert "\n" not in str(error)


def test_opencv_reads_the_same_pixels():
    for kind in ("PNG", "JPEG", "BMP"):
        data = encode(NOISE, kind)
        other = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)[..., ::-1]
        assert np.array_equal(read_raster(data)[0], other)


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("size", [64, 100, 200])
@pytest.mark.parametrize("value", [1, 20, 100, 200, 255])
def test_a_flat_jpeg_whose_last_bytes_say_little_is_sound(value, size, progressive):
    image = np.zeros((size, size), np.uint8)
    image[: size // 2] = value
    encoded = io.BytesIO()
    Image.fromarray(image).save(encoded, "JPEG", quality=90, progressive=progressive)
    pixels, _ = read_raster(encoded.getvalue())
    assert np.abs(pixels[..., 0].astype(int) - image).max() < 9
