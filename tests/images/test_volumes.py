import json
import struct
import sys
from pathlib import Path

import numpy as np
import pytest

from unetseg.errors import InputError
from unetseg.images import volumes
from unetseg.images.inputs import find_inputs
from unetseg.images.opening import count_images, open_image, read_image, read_stored

VALUES = np.random.default_rng(0).integers(0, 4000, (2, 3, 4, 30, 40), np.uint16)  # time, channel, depth
AXES = [{"name": name} for name in "tcz"] + [{"name": name, "unit": "micrometer"} for name in "yx"]


@pytest.fixture
def zarr():
    return pytest.importorskip("zarr")


def write(zarr, place, version, values=VALUES, **told):
    group = zarr.open_group(str(place), mode="w", zarr_format={"0.4": 2, "0.5": 3}[version])
    scale = [{"type": "scale", "scale": [1, 1, 1, 0.5, 0.25][-values.ndim :]}]
    for level in range(2):
        data = values[..., :: level + 1, :: level + 1]
        group.create_array(str(level), shape=data.shape, dtype=data.dtype, chunks=(1,) * (data.ndim - 2) + (16, 16))
        group[str(level)][:] = data
    datasets = [{"path": str(level), "coordinateTransformations": scale} for level in range(2)]
    facts = {"multiscales": [{"axes": AXES[-values.ndim :], "datasets": datasets}], **told}
    group.attrs.update(facts if version == "0.4" else {"ome": {"version": version, **facts}})
    return Path(place)


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_an_ome_zarr_is_read_at_full_resolution(zarr, tmp_path, version):
    labels = {"channels": [{"label": name} for name in ("DAPI", "GFP", "RFP")]}
    path = write(zarr, tmp_path / "a.zarr", version, omero=labels)
    assert count_images(path) == 8
    assert count_images(path, "max") == 2
    assert np.array_equal(read_stored(path, 5, channel="GFP").pixels[..., 0], VALUES[1, 1, 1])
    assert np.array_equal(read_stored(path, 1, channel=2, project="max").pixels[..., 0], VALUES[1, 2].max(axis=0))
    with pytest.raises(InputError, match=r"a\.zarr: has 3 channels \(DAPI, GFP, RFP\)"):
        read_stored(path, 0)


def test_rows_of_a_large_one_are_those_of_the_whole(zarr, tmp_path):
    path = write(zarr, tmp_path / "a.zarr", "0.5", VALUES[0, 0, 0])
    with open_image(path, large=100) as opened:
        assert opened.pixel == (0.5, 0.25)
        parts = [opened.rows(top, top + 10) for top in range(0, 30, 10)]
    assert np.array_equal(np.concatenate(parts), read_image(path))


@pytest.mark.parametrize("image", ["a.zarr", "plate.zarr/A/1/0", "plate.zarr/A/1/field.0"])
def test_a_url_is_opened_by_fsspec(zarr, image):
    write(zarr, f"memory://bucket/{image}", "0.5", VALUES[0, 0, 0])
    (found,) = find_inputs([f"memory://bucket/{image}"], "out").images
    assert np.array_equal(read_stored(found.path).pixels[..., 0], VALUES[0, 0, 0])


def test_a_folder_of_zarrs_is_searched_and_each_is_one_image(zarr, tmp_path):
    write(zarr, tmp_path / "in/a.zarr", "0.4", VALUES[0, 0, 0])
    write(zarr, tmp_path / "in/b/c.ome.zarr", "0.5", VALUES[0, 0, :2])
    found = find_inputs([str(tmp_path / "in")], tmp_path / "out").images
    assert [each.name for each in found] == ["a", "b/c.ome_0000", "b/c.ome_0001"]
    assert [each.name for each in find_inputs([str(tmp_path / "in/a.zarr")], tmp_path / "out").images] == ["a"]


def test_what_is_no_image_is_told(zarr, tmp_path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match="folder: is a folder, and not an OME-Zarr image"):
        read_stored(tmp_path / "folder")
    zarr.open_group(str(tmp_path / "plate.zarr"), mode="w").create_group("A")
    with pytest.raises(InputError, match=r"plate\.zarr: is no OME-Zarr image: neither it nor a group inside it has"):
        read_stored(tmp_path / "plate.zarr")


@pytest.mark.parametrize("version", ["0.4", "0.5"])
@pytest.mark.parametrize("image", ["0", "A/1/0"])
def test_what_is_told_of_a_group_of_images_names_one_that_can_be_predicted(zarr, tmp_path, version, image):
    group = zarr.open_group(str(tmp_path / "a.zarr"), mode="w", zarr_format={"0.4": 2, "0.5": 3}[version])
    group.create_group("OME")
    group.create_group(image)
    write(zarr, tmp_path / "a.zarr" / image, version, VALUES[0, 0, 0])
    with pytest.raises(InputError, match=r"a\.zarr: is no OME-Zarr image but a group of them; name an image") as told:
        read_stored(tmp_path / "a.zarr")
    (found,) = find_inputs([str(told.value).rpartition("such as ")[2]], tmp_path / "out").images
    assert found.path == tmp_path / "a.zarr" / image
    assert np.array_equal(read_stored(found.path).pixels[..., 0], VALUES[0, 0, 0])


def test_damaged_chunks_are_an_error(zarr, tmp_path):
    path = write(zarr, tmp_path / "a.zarr", "0.4", VALUES[0, 0, 0])
    (path / "0/1.1").write_bytes(b"damaged")
    with pytest.raises(InputError, match=r"a\.zarr: is damaged"):
        read_stored(path)


@pytest.mark.parametrize("key", ["compressor", "filters"])
def test_a_codec_that_runs_code_is_refused(zarr, tmp_path, key):
    path = write(zarr, tmp_path / "a.zarr", "0.4", VALUES[0, 0, 0])
    described = json.loads((path / "0/.zarray").read_text())
    codec = {"id": "pickle", "protocol": 5}
    (path / "0/.zarray").write_text(json.dumps(described | {key: [codec] if key == "filters" else codec}))
    with pytest.raises(InputError, match=r"a\.zarr: "):
        read_stored(path)


def test_chunks_beyond_the_limit_are_refused(zarr, tmp_path, monkeypatch):
    path = write(zarr, tmp_path / "a.zarr", "0.5", VALUES[0, 0, 0])
    monkeypatch.setattr(volumes, "MAX_BYTES", 16 * 16 * 2 - 1)
    with pytest.raises(InputError, match="is stored in chunks of"):
        read_stored(path)


def test_a_folder_of_anything_is_no_image(tmp_path):
    with pytest.raises(InputError, match="is a folder, and not an OME-Zarr image"):
        read_stored(tmp_path)


@pytest.mark.parametrize(("name", "module", "extra"), [("a.zarr", "zarr", "zarr"), ("a.czi", "bioio", "bioio")])
def test_a_missing_extra_is_told_with_the_command_that_installs_it(tmp_path, monkeypatch, name, module, extra):
    monkeypatch.setitem(sys.modules, module, None)
    (tmp_path / "a.zarr").mkdir()
    (tmp_path / "a.czi").write_bytes(b"ZISRAWFILE")
    with pytest.raises(InputError, match=rf"{name}: .*pip install 'unetseg\[{extra}\]'"):
        read_stored(tmp_path / name)


def lif(path, values, scenes):
    """Write a LIF of scenes: the size of their pixels in µm, and their channels with the names of these."""
    height, width = values["A"].shape
    plane = height * width * 2
    elements, blocks = "", b""
    for number, (size, names) in enumerate(scenes):
        data, name = np.stack([values[each] for each in names]).tobytes(), f"MemBlock_{number}"
        channels = "".join(
            f'<ChannelDescription DataType="0" ChannelTag="0" Resolution="12" NameOfMeasuredQuantity="" Min="0"'
            f' Max="4095" Unit="" LUTName="{each}" IsLUTInverted="0" BytesInc="{index * plane}" BitInc="0"/>'
            for index, each in enumerate(names)
        )
        sides = "".join(
            f'<DimensionDescription DimID="{axis}" NumberOfElements="{count}" Origin="0"'
            f' Length="{size * 1e-6 * (count - 1)}" Unit="m" BytesInc="{step}" BitInc="0"/>'
            for axis, count, step in ((1, width, 2), (2, height, 2 * width))
        )
        image = f"<Channels>{channels}</Channels><Dimensions>{sides}</Dimensions>"
        elements += (
            f'<Element Name="{number}"><Data><Image><ImageDescription>{image}</ImageDescription></Image></Data>'
            f'<Memory Size="{len(data)}" MemoryBlockID="{name}"/></Element>'
        )
        blocks += struct.pack("<IIBQBI", 0x70, 0, 0x2A, len(data), 0x2A, len(name)) + name.encode("utf-16-le") + data
    root = f'<Element Name="a"><Children>{elements}</Children></Element>'
    xml = f'<LMSDataContainerHeader Version="2">{root}</LMSDataContainerHeader>'
    text = xml.encode("utf-16-le")
    path.write_bytes(struct.pack("<IIBI", 0x70, len(text) + 5, 0x2A, len(xml)) + text + blocks)


@pytest.mark.slow
def test_each_scene_of_a_lif_has_names_and_pixels_of_its_own(tmp_path):
    pytest.importorskip("bioio_lif")
    values = dict(zip(("A", "DAPI"), VALUES[0, :2, 0], strict=True))
    lif(tmp_path / "a.lif", values, [(0.5, ["A", "DAPI"]), (0.1, ["DAPI", "A"])])
    for plane, size in enumerate((0.5, 0.1)):
        found = read_stored(tmp_path / "a.lif", plane, channel="DAPI")
        assert np.array_equal(found.pixels[..., 0], values["DAPI"])
        with open_image(tmp_path / "a.lif", plane, channel="A") as opened:
            assert np.array_equal(opened.stored(0, 30)[..., 0], values["A"])
            assert found.pixel == opened.pixel == pytest.approx((size, size))


@pytest.mark.slow
def test_a_czi_is_read_through_bioio(tmp_path):
    pytest.importorskip("bioio_czi")
    writer = pytest.importorskip("pylibCZIrw.czi")
    path = tmp_path / "a.czi"
    with writer.create_czi(str(path)) as file:
        for channel in range(2):
            for depth in range(3):
                file.write(data=VALUES[0, channel, depth, ..., None], plane={"T": 0, "C": channel, "Z": depth})
        file.write_metadata("a", channel_names={0: "DAPI", 1: "GFP"}, scale_x=0.25e-6, scale_y=0.5e-6)
    assert count_images(path) == 3
    assert np.array_equal(read_stored(path, 2, channel="GFP").pixels[..., 0], VALUES[0, 1, 2])
    assert np.array_equal(read_stored(path, channel=0, project="max").pixels[..., 0], VALUES[0, 0, :3].max(axis=0))
    with open_image(path, 0, channel=0) as opened:
        assert opened.pixel == pytest.approx((0.5, 0.25))


@pytest.mark.slow
def test_a_czi_that_does_not_list_its_scenes_is_refused(tmp_path):
    pytest.importorskip("bioio_czi")
    writer = pytest.importorskip("pylibCZIrw.czi")
    with writer.create_czi(str(tmp_path / "a.czi")) as file:
        for scene in range(2):
            file.write(data=VALUES[0, 0, 0, ..., None], plane={"C": 0}, scene=scene, location=(1000 * scene, 0))
    with pytest.raises(InputError, match="holds 2 scenes but lists 1; save each as a file of its own"):
        read_stored(tmp_path / "a.czi")


@pytest.mark.slow
def test_a_czi_of_a_camera_is_read_in_colour(tmp_path):
    pytest.importorskip("bioio_czi")
    writer = pytest.importorskip("pylibCZIrw.czi")
    colours = np.moveaxis(VALUES[0, :, 0], 0, -1)
    with writer.create_czi(str(tmp_path / "a.czi")) as file:
        file.write(data=colours[..., ::-1], plane={"T": 0, "C": 0, "Z": 0})  # takes blue, green, red
        file.write_metadata("a")
    assert np.array_equal(read_stored(tmp_path / "a.czi").pixels, colours)
    assert np.array_equal(read_stored(tmp_path / "a.czi", channel=2).pixels[..., 0], colours[..., 2])
    with open_image(tmp_path / "a.czi", large=100) as opened:
        assert np.array_equal(opened.stored(10, 20), colours[10:20])
