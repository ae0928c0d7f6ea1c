from pathlib import Path

import numpy as np
import pytest
import tifffile

from unetseg.errors import InputError
from unetseg.images.tiffs import count_planes, open_plane

STACK = np.random.default_rng(0).integers(0, 65536, (4, 30, 40), np.uint16)
COLOUR = np.random.default_rng(0).integers(0, 256, (70, 90, 3), np.uint8)


def planes(path):
    read = []
    for number in range(count_planes(path)):
        with open_plane(path, number) as plane:
            read.append(plane.rows(0, plane.height))
    return np.array(read)


@pytest.mark.parametrize(
    "options",
    [
        {"imagej": True},
        {"metadata": {"axes": "ZYX"}},
        {"ome": True, "metadata": {"axes": "TYX"}},
        {"bigtiff": True},
        {"byteorder": ">"},
        {"compression": "zlib", "rowsperstrip": 7},
        {"compression": "zlib", "predictor": True, "rowsperstrip": 7},
        {"tile": (16, 16)},
    ],
)
def test_a_stack_is_read_plane_by_plane(tmp_path, options):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, STACK, photometric="minisblack", **options)
    assert np.array_equal(planes(path)[..., 0], STACK)


def test_pages_written_one_by_one_are_planes(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        for page in STACK:
            file.write(page, contiguous=False)
    assert np.array_equal(planes(tmp_path / "a.tif")[..., 0], STACK)


def test_a_hyperstack_has_a_plane_for_each_time_and_depth(tmp_path):
    stack = STACK.reshape(2, 2, 30, 40)
    tifffile.imwrite(tmp_path / "a.tif", stack, imagej=True, metadata={"axes": "TZYX"})
    assert np.array_equal(planes(tmp_path / "a.tif")[..., 0], STACK)


@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("channels", [3, 4])
def test_colour_is_one_plane_without_its_alpha(tmp_path, planar, channels):
    colour = np.concatenate([COLOUR, COLOUR], axis=2)[..., :channels]
    stored = colour if planar == "contig" else np.moveaxis(colour, 2, 0)
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric="rgb", planarconfig=planar)
    assert np.array_equal(planes(tmp_path / "a.tif"), [COLOUR])


@pytest.mark.parametrize("start", [0, 15, 16, 17, 40])
@pytest.mark.parametrize("stop", [41, 64, 65, 70])
@pytest.mark.parametrize("options", [{}, {"tile": (16, 32)}, {"rowsperstrip": 9}, {"tile": (16, 32), "compression": 8}])
def test_some_rows_are_those_of_the_whole(tmp_path, options, start, stop):
    tifffile.imwrite(tmp_path / "a.tif", COLOUR, photometric="rgb", **options)
    with open_plane(tmp_path / "a.tif", 0) as plane:
        assert np.array_equal(plane.rows(start, stop), COLOUR[start:stop])


def test_previews_of_another_size_are_no_planes(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(STACK[0])
        file.write(STACK[0, ::2, ::2])
    assert count_planes(tmp_path / "a.tif") == 1


@pytest.mark.parametrize(
    ("options", "pixel"),
    [
        ({"resolution": (40000, 20000), "resolutionunit": "CENTIMETER"}, (0.5, 0.25)),
        ({"imagej": True, "resolution": (4, 2), "metadata": {"unit": "um"}}, (0.5, 0.25)),
        ({"imagej": True, "resolution": (4, 2), "metadata": {"unit": "micron"}}, (0.5, 0.25)),
        ({"imagej": True, "resolution": (0.004, 0.002), "metadata": {"unit": "nm"}}, (0.5, 0.25)),
        ({"ome": True, "metadata": {"PhysicalSizeX": 0.25, "PhysicalSizeY": 0.5}}, (0.5, 0.25)),
        (
            {"ome": True, "metadata": {"PhysicalSizeX": 250, "PhysicalSizeXUnit": "nm", "PhysicalSizeY": 0.5}},
            (0.5, 0.25),
        ),
        ({"resolution": (72, 72), "resolutionunit": "INCH"}, None),
        ({}, None),
    ],
)
def test_the_size_of_a_pixel_is_told_where_the_file_has_it(tmp_path, options, pixel):
    tifffile.imwrite(tmp_path / "a.tif", STACK[0], **options)
    with open_plane(tmp_path / "a.tif", 0) as plane:
        assert plane.pixel == (None if pixel is None else pytest.approx(pixel, rel=1e-6))


@pytest.mark.parametrize("content", [b"", b"text", b"II*\0", b"II*\0" + b"\xff" * 100])
def test_what_is_no_tiff_is_named(tmp_path, content):
    (tmp_path / "a.tif").write_bytes(content)
    with pytest.raises(InputError, match=r"a\.tif"):
        count_planes(tmp_path / "a.tif")


@pytest.mark.parametrize("options", [{}, {"compression": "zlib"}])
def test_a_cut_file_is_named_when_its_rows_are_read(tmp_path, options):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, STACK[0], **options)
    path.write_bytes(path.read_bytes()[:1500])
    with pytest.raises(InputError, match=r"a\.tif"), open_plane(path, 0) as plane:
        plane.rows(0, 30)


def test_a_missing_file_is_named():
    with pytest.raises(InputError, match=r"none\.tif"):
        count_planes(Path("none.tif"))


def test_a_palette_is_refused(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", COLOUR[..., 0], photometric="palette", colormap=np.zeros((3, 256), np.uint16))
    with pytest.raises(InputError, match="PALETTE"), open_plane(tmp_path / "a.tif", 0):
        pass


def test_an_error_of_the_caller_stays_what_it_is(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", STACK[0])
    with pytest.raises(ZeroDivisionError), open_plane(tmp_path / "a.tif", 0):
        raise ZeroDivisionError
