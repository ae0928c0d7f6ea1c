import io
import re
import struct

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image

from unetseg.errors import InputError
from unetseg.images import tiff_pages
from unetseg.images.opening import count_images, open_image, read_image, read_stored

STACK = np.random.default_rng(0).integers(0, 65536, (4, 30, 40), np.uint16)
COLOUR = np.random.default_rng(0).integers(0, 256, (70, 90, 3), np.uint8)
GREY = np.arange(64 * 48, dtype=np.uint8).reshape(64, 48)
OME = '<?xml version="1.0" encoding="UTF-8"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">{}</OME>'
PIXELS = (
    '<Image ID="Image:0"><Pixels ID="P" DimensionOrder="XYZCT" Type="uint8" SizeX="48" SizeY="64" {}</Pixels></Image>'
)


def planes(path, **options):
    return np.array([read_stored(path, number, **options).pixels for number in range(count_images(path))])


def pixel(path):
    with open_image(path, 0) as opened:
        return opened.pixel


@pytest.mark.parametrize(
    "options",
    [
        {"imagej": True, "metadata": {"axes": "TYX"}},
        {"metadata": {"axes": "ZYX"}},
        {"ome": True, "metadata": {"axes": "TYX"}},
        {"bigtiff": True},
        {"byteorder": ">"},
        {"compression": "zlib", "rowsperstrip": 7},
        {"compression": "zlib", "predictor": True, "rowsperstrip": 7},
        {"compression": "lzw"},
        {"compression": "zstd"},
        {"tile": (16, 16)},
        {"metadata": None},
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


@pytest.mark.parametrize(
    "told",
    [
        *(f"ImageJ=1.53t\nimages={images}\nslices={images}\n" for images in ("1", "2", "x")),
        *(OME.format(PIXELS.format(f'SizeZ="{depths}" SizeC="1" SizeT="1"><TiffData/>')) for depths in (1, 2)),
    ],
)
def test_pages_that_the_metadata_leave_out_are_planes_all_the_same(tmp_path, told):
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        for number, page in enumerate(STACK):
            file.write(page, contiguous=False, description=None if number else told, metadata=None)
    assert np.array_equal(planes(tmp_path / "a.tif")[..., 0], STACK)


def test_a_hyperstack_has_a_plane_for_each_time_and_depth(tmp_path):
    stack = STACK.reshape(2, 2, 30, 40)
    tifffile.imwrite(tmp_path / "a.tif", stack, imagej=True, metadata={"axes": "TZYX"})
    assert np.array_equal(planes(tmp_path / "a.tif")[..., 0], STACK)


@pytest.mark.parametrize("kind", ["imagej", "ome"])
def test_a_hyperstack_has_channels_and_their_names(tmp_path, kind):
    path, stack = tmp_path / "a.tif", STACK.reshape(2, 2, 30, 40)
    facts = {"axes": "ZCYX", "Channel": {"Name": ["DAPI", "GFP"]}, "Labels": ["DAPI", "GFP"] * 2}
    tifffile.imwrite(path, stack, **{kind: True}, metadata=facts)
    assert np.array_equal(planes(path, channel=1)[..., 0], stack[:, 1])
    assert np.array_equal(planes(path, channel="dapi")[..., 0], stack[:, 0])
    assert np.array_equal(read_stored(path, channel=0, project="max").pixels[..., 0], stack[:, 0].max(axis=0))
    with pytest.raises(InputError, match=r"has 2 channels \(DAPI, GFP\), which are neither grey nor RGB"):
        read_stored(path, 0)


@pytest.mark.parametrize(
    ("shape", "options"),
    [
        ("YXC", {"planarconfig": "contig", "photometric": "minisblack"}),
        ("YXC", {"metadata": {"axes": "YXC"}, "photometric": "minisblack"}),
        ("CYX", {"planarconfig": "separate", "photometric": "minisblack"}),
        ("CYX", {"planarconfig": "separate", "photometric": "minisblack", "compression": "zlib", "rowsperstrip": 7}),
        ("YXC", {"planarconfig": "contig", "photometric": "rgb", "extrasamples": ["unspecified"]}),
    ],
)
def test_samples_that_are_no_colours_are_channels(tmp_path, shape, options):
    stored = STACK if shape == "CYX" else np.moveaxis(STACK, 0, -1)
    tifffile.imwrite(tmp_path / "a.tif", stored, **options)
    for channel in range(4):
        assert np.array_equal(read_stored(tmp_path / "a.tif", channel=channel).pixels[..., 0], STACK[channel])
    with pytest.raises(InputError, match=r"has 4 channels.*name one with --channel, or .* data\.channel"):
        read_stored(tmp_path / "a.tif")


def test_depth_inside_of_a_page_is_depth(tmp_path):
    values = np.random.default_rng(0).integers(0, 256, (4, 32, 48), np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", values, volumetric=True, tile=(4, 16, 16), photometric="minisblack")
    assert np.array_equal(planes(tmp_path / "a.tif")[..., 0], values)


@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_colour_is_one_plane_without_constant_alpha(tmp_path, planar, channels, compression):
    colour = np.dstack([COLOUR, np.full(COLOUR.shape[:2], 200, np.uint8)])[..., :channels]
    stored = colour if planar == "contig" else np.moveaxis(colour, 2, 0)
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric="rgb", planarconfig=planar, compression=compression)
    assert np.array_equal(planes(tmp_path / "a.tif"), [COLOUR])


def test_alpha_that_varies_is_refused_wherever_the_rows_are(tmp_path):
    colour = np.dstack([COLOUR, np.full(COLOUR.shape[:2], 200, np.uint8)])
    colour[60, 5, 3] = 0
    tifffile.imwrite(tmp_path / "a.tif", colour, photometric="rgb")
    with open_image(tmp_path / "a.tif", large=100) as opened:
        assert np.array_equal(opened.rows(20, 50), COLOUR[20:50])
        with pytest.raises(InputError, match=r"a\.tif: has an alpha channel that varies"):
            opened.rows(50, 70)


@pytest.mark.parametrize("start", [0, 15, 16, 17, 40])
@pytest.mark.parametrize("stop", [41, 64, 65, 70])
@pytest.mark.parametrize("options", [{}, {"tile": (16, 32)}, {"rowsperstrip": 9}, {"tile": (16, 32), "compression": 8}])
def test_some_rows_are_those_of_the_whole(tmp_path, options, start, stop):
    tifffile.imwrite(tmp_path / "a.tif", COLOUR, photometric="rgb", **options)
    with open_image(tmp_path / "a.tif", large=100) as opened:
        assert np.array_equal(opened.stored(start, stop), COLOUR[start:stop])


@pytest.mark.parametrize("declared", [True, False])
def test_of_a_pyramid_the_full_resolution_is_read(tmp_path, declared):
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(STACK[0], subifds=int(declared))
        file.write(STACK[0, ::2, ::2], subfiletype=int(declared))
    assert np.array_equal(planes(tmp_path / "a.tif")[..., 0], STACK[:1])


def test_images_of_other_sizes_are_never_dropped_in_silence(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(STACK[0])
        file.write(STACK[0, :20])
    with pytest.raises(InputError, match="holds images of 30x40 and 20x40 pixels; save each as a separate file"):
        count_images(tmp_path / "a.tif")


def test_an_even_palette_only_displays_values_and_any_other_is_the_colours(tmp_path):
    ramp = np.zeros((3, 256), np.uint16)
    ramp[1] = np.arange(256) * 257
    tifffile.imwrite(tmp_path / "green.tif", GREY, photometric="palette", colormap=ramp)
    assert np.array_equal(read_stored(tmp_path / "green.tif").pixels[..., 0], GREY)
    odd = np.random.default_rng(0).integers(0, 65536, (3, 256), np.uint16)
    tifffile.imwrite(tmp_path / "odd.tif", GREY, photometric="palette", colormap=odd)
    assert np.array_equal(read_stored(tmp_path / "odd.tif").pixels, (odd.T >> 8)[GREY])


def test_16_bit_values_may_have_a_palette(tmp_path):
    ramp = np.zeros((3, 65536), np.uint16)
    ramp[2] = np.arange(65536)
    tifffile.imwrite(tmp_path / "a.tif", STACK[0], photometric="palette", colormap=ramp)
    assert np.array_equal(read_stored(tmp_path / "a.tif").pixels[..., 0], STACK[0])


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_where_0_is_white_it_is_read_as_white(tmp_path, dtype):
    tifffile.imwrite(tmp_path / "a.tif", GREY.astype(dtype), photometric="miniswhite")
    read = read_stored(tmp_path / "a.tif")
    assert np.array_equal(read.pixels[..., 0], np.iinfo(dtype).max - GREY.astype(dtype))
    assert read.white_is_zero


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_few_bits_are_stretched_to_eight(tmp_path, bits):
    values = GREY % 2**bits
    tifffile.imwrite(tmp_path / "a.tif", values, bitspersample=bits, photometric="minisblack")
    assert np.array_equal(read_stored(tmp_path / "a.tif").pixels[..., 0], values * (255 // (2**bits - 1)))


def ome(path, xml):
    tifffile.imwrite(path, GREY, description=OME.format(xml), metadata=None)


ONE = 'SizeZ="1" SizeC="1" SizeT="1"'


@pytest.mark.parametrize(
    ("xml", "size"),
    [
        ("", None),
        ('<BinaryOnly MetadataFile="x.companion.ome" UUID="urn:uuid:1"/>', None),
        (PIXELS.format(ONE + ' PhysicalSizeX="0,25" PhysicalSizeY="0,5"><TiffData/>'), (0.5, 0.25)),
        (PIXELS.format(ONE + ' PhysicalSizeX="wide" PhysicalSizeY="0.5"><TiffData/>'), None),
        (PIXELS.format(ONE + ' PhysicalSizeX="1e999" PhysicalSizeY="0.5"><TiffData/>'), None),
        (PIXELS.format('SizeZ="1" SizeC="1" SizeT="1000000"><TiffData IFD="0" PlaneCount="1"/>'), None),
        (PIXELS.format(ONE + '><TiffData IFD="0" PlaneCount="1000000000"/>'), None),
        (PIXELS.format('SizeZ="1" SizeC="3" SizeT="1"><TiffData/>'), None),
        ("<Image>", None),
    ],
)
def test_metadata_that_are_missing_or_wrong_cost_at_most_the_size_of_a_pixel(tmp_path, xml, size):
    ome(tmp_path / "a.ome.tif", xml)
    assert count_images(tmp_path / "a.ome.tif") == 1
    assert np.array_equal(read_stored(tmp_path / "a.ome.tif").pixels[..., 0], GREY)
    assert pixel(tmp_path / "a.ome.tif") == size


def test_a_plane_for_which_the_metadata_name_no_page_is_told_and_never_black(tmp_path):
    parts = "".join(f'<TiffData FirstZ="{depth}" IFD="{depth}" PlaneCount="1"/>' for depth in (0, 1, 3))
    xml = PIXELS.replace('"48" SizeY="64"', '"40" SizeY="30"').format(f'SizeZ="4" SizeC="1" SizeT="1">{parts}')
    with tifffile.TiffWriter(tmp_path / "a.ome.tif") as file:
        for number, page in enumerate(STACK):
            description = None if number else OME.format(xml)
            file.write(page, photometric="minisblack", description=description, metadata=None, contiguous=False)
    for plane in (0, 1, 3):
        assert np.array_equal(read_stored(tmp_path / "a.ome.tif", plane).pixels[..., 0], STACK[plane])
    for choice in ({"plane": 2}, {"project": "max"}):
        with pytest.raises(InputError, match=r"is missing plane 3 of 4: its metadata name no page for it"):
            read_stored(tmp_path / "a.ome.tif", **choice)


def test_no_other_file_is_read_whatever_the_metadata_name(tmp_path):
    (tmp_path / "in").mkdir()
    tifffile.imwrite(tmp_path / "secret.tif", np.full((64, 48), 77, np.uint8))
    parts = "".join(
        f'<TiffData FirstT="{time}" IFD="0" PlaneCount="1"><UUID FileName="{name}">urn:uuid:{time}</UUID></TiffData>'
        for time, name in enumerate(["a.ome.tif", "../secret.tif"])
    )
    ome(tmp_path / "in/a.ome.tif", PIXELS.format(f'SizeZ="1" SizeC="1" SizeT="2">{parts}'))
    assert np.array_equal(planes(tmp_path / "in/a.ome.tif")[..., 0], [GREY])


@pytest.mark.parametrize(
    ("options", "size"),
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
        ({"imagej": True, "resolution": (100, 100), "metadata": {"unit": "cm"}}, (100, 100)),
        ({"extratags": [(282, 11, 1, 2.5, True), (283, 11, 1, 2.5, True)], "resolutionunit": None}, None),
        ({}, None),
    ],
)
def test_the_size_of_a_pixel_is_told_where_the_file_has_it(tmp_path, options, size):
    tifffile.imwrite(tmp_path / "a.tif", STACK[0], **options)
    assert pixel(tmp_path / "a.tif") == (None if size is None else pytest.approx(size, rel=1e-6))


@pytest.mark.parametrize(("sizes", "size"), [((0.5e-6, 0.25e-6), (0.5, 0.25)), ((0, 0), None), ((np.nan, 1e-6), None)])
def test_the_size_of_a_pixel_of_an_lsm_file_is_told(tmp_path, sizes, size):
    info = np.zeros(1, tifffile.TIFF.CZ_LSMINFO)
    facts = {"MagicNumber": 67127628, "StructureSize": info.nbytes, "VoxelSizeY": sizes[0], "VoxelSizeX": sizes[1]}
    shape = {"DimensionX": 40, "DimensionY": 30, "DimensionZ": 2, "DimensionChannels": 1, "DimensionTime": 1}
    for name, value in (facts | shape).items():
        info[name] = value
    tag = [(34412, 7, info.nbytes, info.tobytes(), True)]
    with tifffile.TiffWriter(tmp_path / "a.lsm") as file:
        for number in range(2):
            options = {"metadata": None, "contiguous": False}
            file.write(STACK[number], photometric="minisblack", extratags=[] if number else tag, **options)
            file.write(STACK[number, ::2, ::2], photometric="minisblack", subfiletype=1, **options)
    assert np.array_equal(planes(tmp_path / "a.lsm")[..., 0], STACK[:2])
    assert pixel(tmp_path / "a.lsm") == (None if size is None else pytest.approx(size))


def test_a_claim_of_a_thousand_million_planes_is_refused_at_once(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", GREY, description='{"shape": [1000000000, 64, 48]}', metadata=None)
    with pytest.raises(InputError, match="claims to hold 1,000,000,000 planes, and has room for 1"):
        count_images(tmp_path / "a.tif")


def test_a_strip_that_unpacks_beyond_the_limit_is_refused(tmp_path, monkeypatch):
    tifffile.imwrite(tmp_path / "a.tif", GREY, compression="zlib")
    monkeypatch.setattr(tiff_pages, "MAX_BYTES", GREY.size - 1)
    with open_image(tmp_path / "a.tif", large=100) as opened, pytest.raises(InputError, match="in strips or tiles of"):
        opened.rows(0, 8)


def segments(path):
    with tifffile.TiffFile(path) as file:
        page = file.pages.first
        return page.dataoffsets, page.databytecounts, page.tags["StripOffsets"].valueoffset


@pytest.mark.parametrize("compression", ["zlib", "lzma", "zstd", "packbits", "jpeg", "webp", "jpeg2000", "png"])
def test_a_strip_that_is_damaged_is_an_error_and_never_black(tmp_path, compression):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, COLOUR, photometric="rgb", compression=compression, rowsperstrip=16)
    assert read_stored(path).pixels.any()
    offsets, lengths, _ = segments(path)
    content = bytearray(path.read_bytes())
    content[offsets[2] : offsets[2] + lengths[2]] = bytes(lengths[2])
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"a\.tif: is (damaged|a damaged JPEG)"):
        read_stored(path)


@pytest.mark.parametrize("codec", ["lzw", "packbits"])
@pytest.mark.parametrize("rows", [9, 15, 17, 99])
def test_a_strip_without_a_checksum_that_unpacks_to_another_length_is_refused(tmp_path, codec, rows):
    path = tmp_path / "a.tif"
    options = {"photometric": "rgb", "compression": codec, "rowsperstrip": 16}
    tifffile.imwrite(path, COLOUR, **options)
    assert np.array_equal(read_stored(path).pixels, COLOUR)
    other = getattr(imagecodecs, f"{codec}_encode")(np.resize(COLOUR, (rows, COLOUR.shape[1], 3)).tobytes())
    end = path.stat().st_size
    path.write_bytes(path.read_bytes() + other)
    with tifffile.TiffFile(path, mode="r+b") as file:
        for name, value in (("StripOffsets", end), ("StripByteCounts", len(other))):
            tag = file.pages.first.tags[name]
            tag.overwrite([tag.value[0], value, *tag.value[2:]])
    with pytest.raises(InputError, match=r"a\.tif: is damaged"):
        read_stored(path)


def test_a_last_strip_may_be_padded_to_the_height_of_the_others(tmp_path):
    padded = np.concatenate([COLOUR, COLOUR])[: -(-len(COLOUR) // 16) * 16]
    tifffile.imwrite(tmp_path / "a.tif", padded, photometric="rgb", compression="lzw", rowsperstrip=16)
    with tifffile.TiffFile(tmp_path / "a.tif", mode="r+b") as file:
        file.pages.first.tags["ImageLength"].overwrite(len(COLOUR))
    assert np.array_equal(read_stored(tmp_path / "a.tif").pixels, COLOUR)


@pytest.mark.parametrize("codec", ["lzw", "packbits"])
def test_compressed_pixels_of_one_bit_have_the_length_of_their_bytes(tmp_path, codec):
    pixels = np.arange(37 * 21).reshape(37, 21) % 2 > 0
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="minisblack", compression=codec, rowsperstrip=8)
    assert np.array_equal(read_stored(tmp_path / "a.tif").pixels[..., 0], pixels * np.uint8(255))


def test_a_strip_that_claims_to_be_larger_is_refused_before_memory_is_taken(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, COLOUR, photometric="rgb", compression="jpeg")
    content = path.read_bytes()
    frame = content.index(b"\xff\xc0") + 5
    path.write_bytes(content[:frame] + struct.pack(">HH", 60_000, 60_000) + content[frame + 4 :])
    with pytest.raises(InputError, match="claims to be 60000x60000 pixels"):
        read_stored(path)


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("what", ["StripOffsets", "StripByteCounts"])
def test_a_strip_that_is_missing_is_an_error_and_never_black(tmp_path, compression, what):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, COLOUR, photometric="rgb", compression=compression, rowsperstrip=16)
    with tifffile.TiffFile(path, mode="r+b") as file:
        tag = file.pages.first.tags[what]
        tag.overwrite([*tag.value[:2], 0, *tag.value[3:]])
    with pytest.raises(InputError, match="is missing pixels: strip or tile 3 of 5 is empty"):
        read_stored(path)


def with_compression(path, code):
    tifffile.imwrite(path, GREY, compression="zlib", metadata=None)
    content = path.read_bytes()
    entry = re.search(struct.pack("<HHI", 259, 3, 1), content).end()
    path.write_bytes(content[:entry] + struct.pack("<H", code) + content[entry + 2 :])
    return path


@pytest.mark.parametrize("code", [99, 5, 32895, 33003, 34712, 34925, 50000])
def test_a_compression_that_cannot_be_decoded_is_an_error(tmp_path, code):
    with pytest.raises(InputError, match=r"a\.tif: is damaged, or of a kind that cannot be read"):
        read_stored(with_compression(tmp_path / "a.tif", code))


@pytest.mark.parametrize("code", [6, 22610, 34892, 50002, 65000])
def test_a_compression_whose_size_cannot_be_checked_is_refused(tmp_path, code):
    with pytest.raises(InputError, match=r"a\.tif: is a TIFF in the compression [A-Z0-9_]+; save it in another"):
        read_stored(with_compression(tmp_path / "a.tif", code))


@pytest.mark.parametrize("content", [b"II*\0", b"II*\0" + b"\xff" * 100])
def test_what_is_no_tiff_is_named(tmp_path, content):
    (tmp_path / "a.tif").write_bytes(content)
    with pytest.raises(InputError, match=r"a\.tif: is damaged"):
        count_images(tmp_path / "a.tif")


@pytest.mark.parametrize("options", [{}, {"compression": "zlib"}])
def test_a_cut_file_is_named_when_its_rows_are_read(tmp_path, options):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, STACK[0], **options)
    path.write_bytes(path.read_bytes()[:1500])
    with pytest.raises(InputError, match=r"a\.tif"):
        read_stored(path)


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        ({"photometric": "separated"}, "kind SEPARATED; save it as grey or RGB"),
        ({"photometric": "cielab"}, "kind CIELAB"),
        ({"photometric": "rgb", "extratags": [(274, 3, 1, 6, True)]}, "orientation 6; save it upright"),
    ],
)
def test_other_colours_and_turned_images_are_refused(tmp_path, options, rule):
    values = np.dstack([COLOUR, COLOUR[..., :1]]) if options["photometric"] == "separated" else COLOUR
    tifffile.imwrite(tmp_path / "a.tif", values, planarconfig="contig", **options)
    with pytest.raises(InputError, match=rule):
        read_stored(tmp_path / "a.tif")


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
def test_a_tiff_with_a_wrong_entry_is_an_input_error_or_an_image_of_its_size(tmp_path, tag, kind, count, value):
    file = io.BytesIO()
    tifffile.imwrite(file, GREY, metadata=None)
    content = bytearray(file.getvalue())
    (entries,) = struct.unpack_from("<H", content, 8)
    for at in range(10, 10 + 12 * entries, 12):
        if struct.unpack_from("<H", content, at)[0] == tag:
            struct.pack_into("<HHII", content, at, tag, kind, count, value)
    (tmp_path / "a.tif").write_bytes(content)
    try:
        assert read_stored(tmp_path / "a.tif").pixels.shape == (64, 48, 1)
    except InputError as error:
        assert "\n" not in str(error)


def test_an_error_of_the_caller_stays_what_it_is(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", STACK[0])
    with pytest.raises(ZeroDivisionError), open_image(tmp_path / "a.tif", 0):
        raise ZeroDivisionError


@pytest.mark.timeout(20)
def test_a_chain_of_pages_that_leads_back_to_itself_is_refused(tmp_path):
    first = struct.pack("<IHHHIII", 8, 1, 256, 4, 1, 8, 26)  # only a width; the next page is at 26
    second = struct.pack("<HI", 0, 26)  # nothing; the next page is itself
    (tmp_path / "ring.tif").write_bytes(b"II*\0" + first + second)
    with pytest.raises(InputError, match=r"ring\.tif: is damaged"):
        read_stored(tmp_path / "ring.tif", None)


def test_a_smaller_image_that_is_no_copy_is_not_passed_over(tmp_path):
    cells = np.random.default_rng(0).integers(0, 4000, (256, 320), np.uint16)
    for name, first, second in (("of two", cells * 0, cells[:128, :160]), ("both", cells, cells[:128, :160])):
        with tifffile.TiffWriter(tmp_path / f"{name}.ome.tif", ome=True) as file:
            for pixels in (first, second):
                file.write(pixels, photometric="minisblack", metadata={"axes": "YX"})
        with pytest.raises(InputError, match="holds images of 256x320 and 128x160 pixels; save each as a separate"):
            read_image(tmp_path / f"{name}.ome.tif")


@pytest.mark.parametrize("listed", [True, False])
@pytest.mark.parametrize("what", ["objects", "noise", "nothing"])
def test_a_smaller_image_in_the_same_uneven_light_is_not_passed_over(tmp_path, what, listed):
    rng = np.random.default_rng(0)
    row, column = np.mgrid[-1:1:256j, -1:1:256j]
    lamp = np.exp(-(row**2 + column**2) / 2)

    def field():
        if what == "nothing":
            return np.full((256, 256), 57, np.uint16)
        pixels = np.full((256, 256), 800.0)
        if what == "objects":
            for top, left in rng.integers(4, 240, (40, 2)):
                pixels[top : top + 12, left : left + 12] += 200
        return (pixels * lamp + rng.normal(0, 5, lamp.shape)).astype(np.uint16)

    with tifffile.TiffWriter(tmp_path / "a.tif", ome=listed) as file:
        for pixels in (field(), field()[::2, ::2]):
            file.write(pixels, photometric="minisblack", metadata={"axes": "YX"})
    with pytest.raises(InputError, match="holds images of 256x256 and 128x128 pixels; save each as a separate file"):
        read_stored(tmp_path / "a.tif")


@pytest.mark.parametrize("factor", [2, 4])
def test_a_smaller_copy_in_uneven_light_is_passed_over(tmp_path, factor):
    rng = np.random.default_rng(0)
    image = (np.kron(rng.integers(0, 4000, (32, 32)), np.ones((8, 8))) * np.linspace(1, 2, 256)).astype(np.uint16)
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        for pixels in (image, image[::factor, ::factor]):
            file.write(pixels, photometric="minisblack")
    assert np.array_equal(read_stored(tmp_path / "a.tif").pixels[..., 0], image)


def leica(path, *images):
    """Write a Leica slide of 200x200 nm from names, offsets and sizes on the slide, and pixels."""
    xml = '<scn xmlns="http://www.leica-microsystems.com/scn/2010/10/01"><collection sizeX="200" sizeY="200">{}'
    image = '<image name="{}"><pixels><dimension r="0" ifd="{}"/></pixels><view {}/></image>'
    view = 'offsetX="{0}" offsetY="{0}" sizeX="{1}" sizeY="{1}"'
    told = "".join(image.format(name, page, view.format(*at)) for page, (name, at, _) in enumerate(images))
    with tifffile.TiffWriter(path) as file:
        for number, (_, _, pixels) in enumerate(images):
            description = None if number else xml.format(told) + "</collection></scn>"
            file.write(pixels, photometric="rgb", description=description, metadata=None, contiguous=False)
    return path


def test_of_a_leica_slide_only_what_is_known_to_be_an_overview_is_left_out(tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), np.uint8)
    overview, region, label = ("image 0", (0, 200), image[0, :20]), ("image 1", (10, 90), image[1]), image[0, :, :20]
    for beside in ([overview], [("Macro", (5, 195), label)], [overview, ("label", (5, 195), label)]):
        assert np.array_equal(planes(leica(tmp_path / "a.scn", *beside, region)), image[1:2])
    equal, smaller = (("image 2", (100, 90), pixels) for pixels in (image[2], image[2, :60]))
    assert np.array_equal(planes(leica(tmp_path / "a.scn", overview, region, equal)), image[1:])
    with pytest.raises(InputError, match="holds images of 64x64 and 60x64 pixels; save each as a separate file"):
        count_images(leica(tmp_path / "a.scn", overview, region, smaller))
    assert np.array_equal(planes(leica(tmp_path / "a.scn", ("image 0", (0, 200), image[0]))), image[:1])


@pytest.mark.parametrize("name", ["Label Image", "Thumbnail", "Probability_Image", "of no known kind"])
def test_of_a_ventana_slide_only_labels_and_previews_are_left_out(tmp_path, name):
    with tifffile.TiffWriter(tmp_path / "a.bif") as file:
        for pixels, description in ((GREY, name), (STACK[0].astype(np.uint8), "level=0")):
            tags = [(700, 1, 1, 0, True)]
            options = {"software": "ScanOutputManager 1.1", "extratags": tags, "metadata": None, "contiguous": False}
            file.write(pixels, photometric="minisblack", description=description, **options)
    if name == "of no known kind":
        with pytest.raises(InputError, match="holds images of 64x48 and 30x40 pixels; save each as a separate file"):
            count_images(tmp_path / "a.bif")
    else:
        assert np.array_equal(planes(tmp_path / "a.bif")[..., 0], STACK[:1].astype(np.uint8))


def test_the_size_of_a_pixel_and_the_channels_are_those_of_the_image_that_is_read(tmp_path):
    image = np.random.default_rng(0).integers(0, 4000, (64, 80), np.uint16)
    overview = image.reshape(32, 2, 40, 2).mean(axis=(1, 3)).astype(np.uint16)
    with tifffile.TiffWriter(tmp_path / "a.ome.tif", ome=True) as file:
        for pixels, size in ((overview, 4.0), (image, 0.5)):
            file.write(
                pixels, photometric="minisblack", metadata={"axes": "YX", "PhysicalSizeX": size, "PhysicalSizeY": size}
            )
    found = read_stored(tmp_path / "a.ome.tif")
    assert (found.pixels.shape, found.pixel) == ((64, 80, 1), (0.5, 0.5))


def test_each_series_has_names_and_pixels_of_its_own(tmp_path):
    stacks = STACK.reshape(2, 2, 30, 40)
    with tifffile.TiffWriter(tmp_path / "a.ome.tif", ome=True) as file:
        for pixels, size, names in zip(stacks, (0.5, 1.0), (["A", "DAPI"], ["DAPI", "A"]), strict=True):
            metadata = {"axes": "CYX", "Channel": {"Name": names}, "PhysicalSizeX": size, "PhysicalSizeY": size}
            file.write(pixels, photometric="minisblack", metadata=metadata)
    found = [read_stored(tmp_path / "a.ome.tif", plane, channel="DAPI") for plane in (0, 1)]
    assert np.array_equal([each.pixels[..., 0] for each in found], [stacks[0, 1], stacks[1, 0]])
    assert [each.pixel for each in found] == [(0.5, 0.5), (1.0, 1.0)]


def test_channels_of_a_hyperstack_with_a_missing_page_are_not_mixed(tmp_path):
    planes = np.random.default_rng(0).integers(0, 4000, (6, 64, 80), np.uint16)
    text = "ImageJ=1.53\nimages=6\nchannels=2\nslices=3\nhyperstack=true\nmode=composite\n"
    for pages, told in ((6, False), (5, True)):
        with tifffile.TiffWriter(tmp_path / "a.tif") as file:
            for number in range(pages):
                description = text if number == 0 else None
                file.write(planes[number], photometric="minisblack", description=description, metadata=None)
        if told:
            with pytest.raises(InputError, match="holds 5 planes, other than its metadata say, so that which channel"):
                read_stored(tmp_path / "a.tif", channel=0, project="max")
            assert (read_stored(tmp_path / "a.tif", 3).pixels[..., 0] == planes[3]).all()  # one by one is plain
        else:
            found = read_stored(tmp_path / "a.tif", channel=0, project="max").pixels
            assert (found[..., 0] == planes[::2].max(axis=0)).all()


def image_of_a_file(size, *files, shape=(64, 48)):
    parts = "".join(
        f'<TiffData FirstC="{channel}" IFD="0" PlaneCount="1"><UUID>urn:uuid:{name}</UUID></TiffData>'
        for channel, name in enumerate(files)
    )
    return (
        f'<Image><Pixels DimensionOrder="XYCZT" Type="uint8" SizeX="{shape[1]}" SizeY="{shape[0]}" SizeC="{len(files)}"'
        f' SizeZ="1" SizeT="1" PhysicalSizeX="{size}" PhysicalSizeY="{size}">{parts}</Pixels></Image>'
    )


def one_of_several(path, *images):
    xml = OME.replace("<OME", f'<OME UUID="urn:uuid:{path.stem}"').format("".join(images))
    tifffile.imwrite(path, GREY, description=xml, metadata=None)
    return path


def test_one_of_several_files_keeps_the_size_of_a_pixel_but_has_no_channel_to_choose(tmp_path):
    path = one_of_several(tmp_path / "b.tif", image_of_a_file(0.5, "a", "b"))
    found = read_stored(path)
    assert np.array_equal(found.pixels[..., 0], GREY)
    assert found.pixel == (0.5, 0.5)
    for choice in ({"channel": 0}, {"channel": "DAPI"}, {"project": "max"}):
        with pytest.raises(InputError, match=r"b\.tif: holds 1 plane, other than its metadata say"):
            read_stored(path, **choice)


def test_the_size_of_a_pixel_is_that_of_the_image_which_is_in_the_file(tmp_path):
    first, second = image_of_a_file(0.5, "a"), image_of_a_file(0.1, "b")
    assert pixel(one_of_several(tmp_path / "b.tif", first, second)) == (0.1, 0.1)
    whole = image_of_a_file(0.5, "a", "b", shape=(128, 96))
    assert pixel(one_of_several(tmp_path / "b.tif", whole)) is None  # a smaller copy with the metadata of the whole
    with pytest.raises(InputError, match=r"c\.tif: holds other planes .*, of pixels of several sizes; save it anew"):
        read_stored(one_of_several(tmp_path / "c.tif", first, second))


def test_without_a_size_in_ome_the_resolution_counts_whatever_planes_it_states(tmp_path):
    xml = OME.format(PIXELS.format('SizeZ="3" SizeC="1" SizeT="1"><TiffData/>'))
    facts = {"resolution": (20000, 20000), "resolutionunit": "CENTIMETER"}
    tifffile.imwrite(tmp_path / "a.ome.tif", GREY, description=xml, metadata=None, **facts)
    assert pixel(tmp_path / "a.ome.tif") == (0.5, 0.5)


def test_a_stack_of_imagej_with_more_pages_than_it_states_keeps_the_size_of_a_pixel(tmp_path):
    text = "ImageJ=1.53\nimages=2\nslices=2\nunit=um\n"
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        for number in range(4):
            told = None if number else text
            file.write(GREY, resolution=(2, 2), resolutionunit=1, description=told, metadata=None, contiguous=False)
    assert pixel(tmp_path / "a.tif") == (0.5, 0.5)


def test_a_channel_whose_name_is_a_number_is_found_by_it(tmp_path):
    planes = np.random.default_rng(0).integers(0, 4000, (2, 64, 80), np.uint16)
    metadata = {"axes": "CYX", "Channel": {"Name": ["405", "488"]}}
    tifffile.imwrite(tmp_path / "a.ome.tif", planes, ome=True, photometric="minisblack", metadata=metadata)
    for channel, expected in ((488, 1), ("488", 1), (0, 0), (1, 1)):
        found = read_stored(tmp_path / "a.ome.tif", channel=channel).pixels
        assert (found[..., 0] == planes[expected]).all()
    with pytest.raises(InputError, match=r"has no channel 2; it has 2 channels \(405, 488\), counted from 0"):
        read_stored(tmp_path / "a.ome.tif", channel=2)


@pytest.mark.parametrize("shape", [(1, 400), (400, 1), (1, 1)])
def test_an_image_of_one_row_or_column_is_told_as_too_small(tmp_path, shape):
    tifffile.imwrite(tmp_path / "a.tif", np.zeros(shape, np.uint8), photometric="minisblack")
    with pytest.raises(InputError, match=f"is {shape[0]}x{shape[1]} pixels; at least 8x8 are needed"):
        read_image(tmp_path / "a.tif")


def test_a_palette_in_8_bit_gives_the_colours_of_one_in_16(tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (64, 80), np.uint8)
    colours = np.random.default_rng(1).integers(0, 256, (3, 256), np.uint16)
    for factor in (1, 257):
        tifffile.imwrite(tmp_path / "a.tif", image, photometric="palette", colormap=colours * np.uint16(factor))
        assert (read_image(tmp_path / "a.tif") == colours.T.astype(np.uint8)[image]).all()


def test_a_file_that_ends_before_its_pixels_is_told_as_cut_off(tmp_path):
    Image.fromarray(np.zeros((64, 80), np.uint8)).save(tmp_path / "a.tif")
    content = (tmp_path / "a.tif").read_bytes()
    (tmp_path / "a.tif").write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match="is cut off: its pixels are not all there"):
        read_image(tmp_path / "a.tif")
