import io

import cv2
import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image

from unetseg.dataset.samples import read_sample
from unetseg.errors import InputError
from unetseg.images.intensity import to_rgb
from unetseg.images.opening import count_images, open_image, read_image

RNG = np.random.default_rng(0)
SIZE = (40, 48)
GREY = cv2.GaussianBlur(RNG.integers(0, 256, SIZE, np.uint8), (0, 0), 2)
COLOUR = cv2.GaussianBlur(RNG.integers(0, 256, (*SIZE, 3), np.uint8), (0, 0), 2)
DARK = RNG.integers(900, 4000, SIZE, np.uint16)  # a 12-bit camera's values
FULL, VARYING = np.full(SIZE, 255, np.uint8), GREY
GREEN = np.zeros((3, 256), np.uint16)
GREEN[1] = np.arange(256) * 257
ODD = RNG.integers(0, 65536, (3, 256), np.uint16)


def encoded(image, kind, **options):
    content = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(content, kind, **options)
    return content.getvalue()


def tiff(pixels, **options):
    content = io.BytesIO()
    tifffile.imwrite(content, pixels, **options)
    return content.getvalue()


def pyramid(pixels, **options):
    content = io.BytesIO()
    with tifffile.TiffWriter(content, **options) as file:
        file.write(pixels, subifds=1, photometric="rgb" if pixels.ndim == 3 else "minisblack")
        file.write(pixels[::2, ::2], subfiletype=1)
    return content.getvalue()


def turned():
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


def palette():
    return Image.fromarray(COLOUR).quantize(16)


def damaged(content):
    middle = len(content) // 2
    return content[:middle] + bytes(40) + content[middle + 40 :]


rgb, black = {"photometric": "rgb"}, {"photometric": "minisblack"}
ACCEPTED = {
    "grey.png": encoded(GREY, "PNG"),
    "colour.png": encoded(COLOUR, "PNG"),
    "of opencv.png": cv2.imencode(".png", COLOUR)[1].tobytes(),
    "1 bit.png": encoded(GREY > 120, "PNG"),
    "16 bit.png": cv2.imencode(".png", DARK)[1].tobytes(),
    "16 bit colour.png": imagecodecs.png_encode(COLOUR.astype(np.uint16) * 9),
    "palette.png": encoded(palette(), "PNG"),
    "rgba.png": encoded(np.dstack([COLOUR, FULL]), "PNG"),
    "la.png": encoded(np.dstack([GREY, FULL]), "PNG"),
    "colour.jpg": encoded(COLOUR, "JPEG"),
    "grey.jpg": encoded(GREY, "JPEG"),
    "progressive.jpg": encoded(COLOUR, "JPEG", progressive=True),
    "lossless.jp2": encoded(COLOUR, "JPEG2000", irreversible=False),
    "colour.bmp": encoded(COLOUR, "BMP"),
    "palette.bmp": encoded(palette(), "BMP"),
    "1 bit.bmp": encoded(GREY > 120, "BMP"),
    **{
        f"{np.dtype(dtype)}.tif": tiff(DARK.astype(dtype) if np.dtype(dtype) != np.uint8 else GREY, **black)
        for dtype in ["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f2", "f4", "f8"]
    },
    "1 bit.tif": tiff(GREY > 120, **black),
    "4 bit.tif": tiff(GREY % 16, bitspersample=4, **black),
    "white is 0.tif": tiff(GREY, photometric="miniswhite"),
    "big endian.tif": tiff(DARK, byteorder=">"),
    "bigtiff.tif": tiff(DARK, bigtiff=True),
    "palette.tif": tiff(GREY, photometric="palette", colormap=ODD),
    "green palette.tif": tiff(GREY, photometric="palette", colormap=GREEN),
    "chunky.tif": tiff(COLOUR, **rgb),
    "planar.tif": tiff(np.moveaxis(COLOUR, 2, 0), planarconfig="separate", **rgb),
    "planar zlib.tif": tiff(np.moveaxis(COLOUR, 2, 0), planarconfig="separate", compression="zlib", **rgb),
    "rgba.tif": tiff(np.dstack([COLOUR, FULL]), **rgb),
    "la.tif": tiff(np.dstack([GREY, FULL]), planarconfig="contig", extrasamples=["unassalpha"], **black),
    **{
        f"{compression}.tif": tiff(COLOUR, compression=compression, rowsperstrip=16, **rgb)
        for compression in ["lzw", "zlib", "packbits", "zstd", "lzma", "jpeg", "webp", "png", "jpeg2000"]
    },
    "predictor.tif": tiff(DARK, compression="zlib", predictor=True),
    "tiles.tif": tiff(COLOUR, tile=(16, 32), compression="zlib", **rgb),
    "jpeg of pillow.tif": encoded(COLOUR, "TIFF", compression="jpeg"),
    "group4.tif": encoded(GREY > 120, "TIFF", compression="group4"),
    "pyramid.tif": pyramid(COLOUR),
    "pyramid.ome.tif": pyramid(DARK, ome=True),
    "imagej.tif": tiff(DARK, imagej=True),
    "plane.ome.tif": tiff(DARK, ome=True),
}
GREYS = ["grey.png", "la.png", "la.tif", "uint8.tif", "green palette.tif"]
COLOURS = ["colour.png", "rgba.png", "colour.bmp", "lossless.jp2", "chunky.tif", "planar.tif", "planar zlib.tif"]
COLOURS += [
    "rgba.tif",
    "lzw.tif",
    "zlib.tif",
    "packbits.tif",
    "zstd.tif",
    "lzma.tif",
    "png.tif",
    "tiles.tif",
    "pyramid.tif",
]
REFUSED = {
    "empty.png": b"",
    "text.png": b"text",
    "cmyk.jpg": encoded(Image.fromarray(COLOUR).convert("CMYK"), "JPEG"),
    "alpha.png": encoded(np.dstack([COLOUR, VARYING]), "PNG"),
    "alpha.tif": tiff(np.dstack([COLOUR, VARYING]), **rgb),
    "damaged.png": damaged(encoded(COLOUR, "PNG")),
    "damaged.jpg": damaged(encoded(RNG.integers(0, 256, (64, 64, 3), np.uint8), "JPEG")),
    "damaged.tif": damaged(tiff(COLOUR, compression="zlib", **rgb)),
    "nan.tif": tiff(np.full(SIZE, np.nan, np.float32)),
    "huge values.tif": tiff(np.full(SIZE, 2e34, np.float32)),
    "complex.tif": tiff(DARK.astype(np.complex64)),
    "two samples.tif": tiff(np.dstack([DARK, DARK]), planarconfig="contig", **black),
    "three samples.tif": tiff(np.dstack([DARK] * 3), planarconfig="contig", **black),
    "fourth sample.tif": tiff(np.dstack([COLOUR, GREY]), extrasamples=["unspecified"], **rgb),
    "channels.ome.tif": tiff(np.stack([DARK, DARK]), ome=True, metadata={"axes": "CYX"}, **black),
    "stack.tif": tiff(np.stack([DARK, DARK]), **black),
    "stack in one.tif": tiff(np.stack([DARK, DARK]), planarconfig="separate", **black),
    "lzw stack.tif": tiff(np.stack([GREY, GREY]), compression="lzw", **black),
    "hyperstack.tif": tiff(np.stack([DARK, DARK]), imagej=True, metadata={"axes": "ZYX"}),
    "cielab.tif": tiff(COLOUR, photometric="cielab"),
}


def written(folder, name, content):
    path = folder / "ab/images" / name
    path.parent.mkdir(parents=True)
    (folder / "ab/masks").mkdir()
    path.write_bytes(content)
    cv2.imwrite(str(folder / "ab/masks/1.png"), np.full(SIZE, 255, np.uint8))
    return path


def predicted(path, large=10**6, **chosen):
    """Read as prediction does, by parts."""
    with open_image(path, large=large, **chosen) as opened:
        return np.concatenate([opened.rows(top, min(top + 7, opened.height)) for top in range(0, opened.height, 7)])


@pytest.mark.parametrize("name", ACCEPTED)
def test_training_and_prediction_read_the_same_values(tmp_path, name):
    path = written(tmp_path, name, ACCEPTED[name])
    image = read_sample(tmp_path / "ab").image
    assert image.shape == (*SIZE, 3)
    assert len(np.unique(image)) > 1
    assert np.array_equal(predicted(path), image)
    assert np.array_equal(predicted(path, large=100), image)
    assert np.array_equal(read_image(path), image)
    assert count_images(path) == 1


@pytest.mark.parametrize("channel", [0, 1, "DAPI", "GFP"])
@pytest.mark.parametrize("project", ["max", "mean"])
def test_training_and_prediction_choose_the_same_channel_and_depth(tmp_path, channel, project):
    values = RNG.integers(0, 4000, (3, 2, *SIZE), np.uint16)  # depth, channel
    names = {"axes": "ZCYX", "Channel": {"Name": ["DAPI", "GFP"]}}
    path = written(tmp_path, "a.ome.tif", tiff(values, ome=True, metadata=names, **black))
    image = read_sample(tmp_path / "ab", channel, project).image
    assert np.array_equal(predicted(path, channel=channel, project=project), image)
    assert np.array_equal(predicted(path, large=100, channel=channel, project=project), image)
    planes = values[:, 1 if channel in (1, "GFP") else 0].astype(float)
    expected = to_rgb(np.rint(getattr(planes, project)(axis=0)).astype(np.uint16)[..., None])
    assert np.array_equal(image, expected)


@pytest.mark.parametrize("name", REFUSED)
def test_training_and_prediction_refuse_the_same_in_the_same_line(tmp_path, name):
    path = written(tmp_path, name, REFUSED[name])
    with pytest.raises(InputError, match=f"^{path}: [^\n]+$") as trained:
        read_sample(tmp_path / "ab")
    for large in (100, 10**6):
        with pytest.raises(InputError) as refused:
            predicted(path, large)
        assert str(refused.value) == str(trained.value) or "nan" in name


@pytest.mark.parametrize("name", [*GREYS, *COLOURS])
def test_8_bit_values_are_those_that_were_written(tmp_path, name):
    image = read_image(written(tmp_path, name, ACCEPTED[name]))
    assert np.array_equal(image, np.dstack([GREY] * 3) if name in GREYS else COLOUR)


def test_16_bit_is_scaled_by_its_own_range_and_not_cut_to_black(tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), DARK)
    image = predicted(tmp_path / "a.png")
    assert (image.min(), image.max()) == (0, 255)


def test_each_plane_is_scaled_by_its_own_range(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.stack([DARK, DARK // 4]), photometric="minisblack")
    for plane in range(2):
        image = read_image(tmp_path / "a.tif", plane)
        assert (image.min(), image.max()) == (0, 255)


def test_a_plane_that_cannot_be_used_is_named(tmp_path):
    planes = np.stack([GREY, GREY]).astype(np.float32)
    planes[1, 0, 0] = np.nan
    tifffile.imwrite(tmp_path / "a.tif", planes, photometric="minisblack")
    read_image(tmp_path / "a.tif", 0)
    with pytest.raises(InputError, match=r"a\.tif, plane 1: has 1 values that are NaN"):
        read_image(tmp_path / "a.tif", 1)


def test_one_colour_of_an_rgb_file_can_be_chosen(tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), COLOUR)
    assert np.array_equal(read_image(tmp_path / "a.png", channel=2), np.dstack([COLOUR[..., 0]] * 3))


def test_an_image_of_fewer_rows_than_a_neighbourhood_is_refused(tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), GREY[:5])
    with pytest.raises(InputError, match=r"a\.png: is 5x48 pixels; at least 8x8"):
        predicted(tmp_path / "a.png")


@pytest.mark.parametrize("name", ["a.png", "a.tif", "none.png", "folder.png"])
def test_a_broken_or_missing_file_is_named(tmp_path, name):
    (tmp_path / "folder.png").mkdir()
    if name.startswith("a"):
        (tmp_path / name).write_bytes(b"II*\0broken")
    with pytest.raises(InputError, match=f"{name}: "):
        predicted(tmp_path / name)


def test_a_path_may_be_text(tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), np.full((9, 9, 3), 7, np.uint8))
    assert read_image(str(tmp_path / "a.png")).max() == 7
    with pytest.raises(InputError, match=r"a\.png"):
        read_image(str(tmp_path / "none" / "a.png"))
