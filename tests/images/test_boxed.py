import io
import struct
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from unetseg.images.boxed import decode_boxed
from unetseg.images.rasters import read_raster

PNG = b"\x89PNG\r\n\x1a\n"
MASK = np.zeros((20, 30), np.uint8)
MASK[5:9, 7:12] = 255


def part(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(pixels, filters=0, packed=None):
    """Write a PNG whose rows have been filtered as these numbers say, without looking at what suits them."""
    height, width = pixels.shape
    numbers = np.broadcast_to(filters, height)
    rows = b"".join(filtered(pixels, row, int(number)) for row, number in enumerate(numbers))
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    content = zlib.compress(rows) if packed is None else packed
    return PNG + part(b"IHDR", header) + part(b"IDAT", content) + part(b"IEND", b"")


def filtered(pixels, row, number):
    here = pixels[row].astype(int)
    above = pixels[row - 1].astype(int) if row else here * 0
    left, corner = (np.concatenate([[0], each[:-1]]) for each in (here, above))
    distances = np.abs(
        [above - corner, left - corner, left + above - 2 * corner]
    )  # of left, above, corner to the plane
    paeth = np.choose(distances.argmin(axis=0), [left, above, corner])
    guess = [here * 0, left, above, (left + above) // 2, paeth][number]
    return bytes([number]) + ((here - guess) % 256).astype(np.uint8).tobytes()


def whole(data):
    """Decode by the box and give all of the picture, or `None`."""
    found = decode_boxed(data, 10_000)
    if found is None:
        return None
    pixels = np.zeros((found.height, found.width), np.uint8)
    pixels[found.box] = found.values
    assert found.values.size == 0 or all(found.values.any(axis=axis)[[0, -1]].all() for axis in (0, 1))
    return pixels


@given(data=st.data(), sides=st.tuples(st.integers(8, 24), st.integers(8, 24)))
def test_any_box_in_any_filters_is_read_as_it_is_by_the_whole(data, sides):
    top, bottom = sorted(data.draw(st.tuples(st.integers(0, sides[0]), st.integers(0, sides[0]))))
    left, right = sorted(data.draw(st.tuples(st.integers(0, sides[1]), st.integers(0, sides[1]))))
    seed = data.draw(st.integers(0, 1000))
    pixels = np.zeros(sides, np.uint8)
    values = np.random.default_rng(seed).choice(np.array([0, 255, 255, 7], np.uint8), (bottom - top, right - left))
    pixels[top:bottom, left:right] = values
    written = png(pixels, np.array(data.draw(st.lists(st.integers(0, 4), min_size=sides[0], max_size=sides[0]))))
    assert np.array_equal(read_raster(written)[0][..., 0], pixels)
    assert np.array_equal(whole(written), pixels)


@pytest.mark.parametrize("strategy", range(5))
@pytest.mark.parametrize("rows", [np.s_[5:9], np.s_[0:3], np.s_[15:20], np.s_[0:20], np.s_[4:4]])
def test_what_opencv_and_pillow_write_is_read(strategy, rows):
    pixels = np.zeros((20, 30), np.uint8)
    pixels[rows, 3:30] = 255
    _, encoded = cv2.imencode(".png", pixels, [cv2.IMWRITE_PNG_STRATEGY, strategy])
    assert np.array_equal(whole(encoded.tobytes()), pixels)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "png")
    assert np.array_equal(whole(file.getvalue()), pixels)


@pytest.mark.parametrize("mode", ["1", "P", "LA", "RGB", "RGBA", "I;16"])
def test_other_kinds_are_left_to_the_decoder_of_all(mode):
    file = io.BytesIO()
    Image.fromarray(MASK).convert(mode).save(file, "png")
    assert whole(file.getvalue()) is None


def test_a_second_part_of_pixels_or_one_before_them_is_left_to_the_decoder_of_all():
    plain = png(MASK)
    end = plain.index(b"IEND") - 4
    assert whole(plain[:33] + part(b"gAMA", b"\0\0\xb1\x8f") + plain[33:]) is None
    assert whole(plain[:end] + part(b"IDAT", b"") + plain[end:]) is None


@pytest.mark.parametrize(
    "packed",
    [
        b"",
        b"no stream",
        zlib.compress(bytes(20 * 31 - 1)),
        zlib.compress(bytes(20 * 31))[:-2],
        zlib.compress(bytes(10**8)),
        zlib.compress((b"\x05" + bytes(30)) * 20),
        zlib.compress(bytes(20 * 31))[:-1] + b"x",
    ],
)
def test_pixels_that_are_damaged_or_of_another_number_are_left_to_the_decoder_of_all(packed):
    assert whole(png(MASK, packed=packed)) is None


@pytest.mark.parametrize("at", [20, 50])
def test_a_wrong_checksum_is_left_to_the_decoder_of_all(at):
    written = bytearray(png(MASK))
    written[at] ^= 1
    assert whole(bytes(written)) is None


def test_more_pixels_than_asked_for_are_not_decoded():
    assert decode_boxed(png(MASK), MASK.size - 1) is None
