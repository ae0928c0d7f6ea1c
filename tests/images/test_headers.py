import io
import struct
import zlib

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from unetseg.errors import InputError
from unetseg.images.headers import Header, read_header

RGB = np.arange(10 * 12 * 3, dtype=np.uint8).reshape(10, 12, 3)


def encode(pixels, kind, **options):
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, kind, **options)
    return content.getvalue()


def tiff(pixels, **options):
    content = io.BytesIO()
    tifffile.imwrite(content, pixels, **options)
    return content.getvalue()


def chunk(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(height, width, *extra):
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"".join([b"\x89PNG\r\n\x1a\n", header, *extra, chunk(b"IDAT", zlib.compress(b"")), chunk(b"IEND", b"")])


def exif(orientation):
    block = Image.Exif()
    block[0x0112] = orientation
    return block


@pytest.mark.parametrize(
    ("data", "header"),
    [
        (encode(RGB, "PNG"), Header(10, 12, 3)),
        (encode(RGB[..., 0], "PNG"), Header(10, 12, 1)),
        (encode(np.dstack([RGB, RGB[..., :1]]), "PNG"), Header(10, 12, 4)),
        (encode(np.dstack([RGB[..., 0], RGB[..., 0]]), "PNG"), Header(10, 12, 2)),
        (encode(RGB, "JPEG"), Header(10, 12, 3)),
        (encode(RGB, "JPEG", progressive=True), Header(10, 12, 3)),
        (encode(RGB[..., 0], "JPEG", exif=exif(6)), Header(10, 12, 1, orientation=6)),
        (encode(RGB, "BMP"), Header(10, 12, 3)),
        (tiff(RGB, photometric="rgb"), Header(10, 12, 3)),
        (tiff(RGB[..., 0].astype(np.float32), byteorder=">"), Header(10, 12, 1)),
        (tiff(RGB, photometric="rgb", bigtiff=True), Header(10, 12, 3)),
    ],
)
def test_a_header_says_size_channels_and_orientation(data, header):
    assert read_header(data) == header


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF"])
def test_a_palette_is_noticed(kind):
    content = io.BytesIO()
    Image.fromarray(RGB).quantize(4).save(content, kind)
    assert read_header(content.getvalue()).palette


@pytest.mark.parametrize(
    ("data", "rule"),
    [
        (b"", "is empty, 0 bytes"),
        (b"only text", "is not a PNG, JPEG, TIFF or BMP file"),
        (encode(RGB, "GIF"), "is not a PNG, JPEG, TIFF or BMP file"),
        (png(1, 1), "is 1x1 pixels; at least 8x8 are needed"),
        (png(20_000, 20_000), "is 20000x20000 pixels; at most 100,000,000 in all are read"),
        (png(0, 0), "is 0x0 pixels; at least 8x8"),
        (png(10, 12, chunk(b"acTL", struct.pack(">II", 2, 0))), "is animated; one picture a file is read"),
        (encode(RGB, "PNG")[:-20], "is cut off"),
        (encode(RGB, "PNG")[:40].replace(b"IHDR", b"IHDX"), "is damaged: wrong checksum"),
        (encode(RGB, "JPEG")[:30], "is a damaged JPEG file"),
        (tiff(RGB[..., 0], photometric="miniswhite"), "is a TIFF in which 0 is white"),
        (b"\xff\xd8\xff\0" + bytes(30), "is a damaged JPEG file"),
        (b"BM\0\0", "is cut off in its header"),
        (tiff(RGB, photometric="rgb")[:60], "is a damaged TIFF file"),
        (tiff(np.zeros((10, 12, 5), np.uint8), planarconfig="contig"), "has 5 channels; grey and RGB are read"),
        (tiff(np.stack([RGB, RGB]), photometric="rgb"), "has 2 pages; one picture a file is read"),
    ],
)
def test_what_cannot_be_used_is_refused_with_the_rule(data, rule):
    with pytest.raises(InputError, match=f"^{rule}"):
        read_header(data)


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_cmyk_is_refused_because_its_colours_depend_on_inks(kind):
    content = io.BytesIO()
    Image.fromarray(RGB).convert("CMYK").save(content, kind)
    with pytest.raises(InputError, match=r"(CMYK picture|kind SEPARATED); save it as (grey or )?RGB"):
        read_header(content.getvalue())


def test_a_turned_tiff_is_refused():
    with pytest.raises(InputError, match="TIFF with orientation 6; save it upright"):
        read_header(encode(RGB, "TIFF", exif=exif(6)))


def test_a_broken_exif_block_means_upright():
    good = encode(RGB, "JPEG", exif=exif(6))
    assert read_header(good.replace(b"MM\0*\0\0\0\x08", b"MM\0*\xff\xff\xff\xff")).orientation == 1


@given(
    start=st.sampled_from([encode(RGB, "PNG"), encode(RGB, "JPEG", exif=exif(3)), encode(RGB, "BMP"), tiff(RGB)]),
    at=st.integers(0, 400),
    noise=st.binary(max_size=20),
)
def test_damage_anywhere_is_an_input_error_or_a_header(start, at, noise):
    try:
        assert read_header(start[:at] + noise + start[at + len(noise) :]).height >= 8
    except InputError as error:
        assert "\n" not in str(error)
