"""Read OME-Zarr, and through bioio the files of microscopes' vendors; both need an extra to be installed."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import prod
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np

from unetseg.errors import InputError
from unetseg.images.rasters import MAX_BYTES, in_our_words
from unetseg.images.stacks import Metadata, Stack, Values

FORMER_AXES = "tczyx"  # of OME-Zarr before 0.3, which does not name them
LENGTHS = {  # in µm
    "angstrom": 1e-4,
    "nanometer": 1e-3,
    "micrometer": 1.0,
    "millimeter": 1e3,
    "centimeter": 1e4,
    "meter": 1e6,
}
CODECS = {  # that only compute: one of zarr's, pickle, runs what a stranger's file tells it to
    *("blosc", "zstd", "gzip", "zlib", "lz4", "bz2", "lzma"),
    *("bytes", "transpose", "sharding_indexed", "crc32c", "crc32", "delta", "shuffle", "fixedscaleoffset", "bitround"),
}


@contextmanager
def open_zarr(place: str) -> Iterator[Stack]:
    """Open an OME-Zarr image of version 0.4 or 0.5 at full resolution: a folder, or a URL that fsspec knows.

    Raises:
        InputError: without the place: if it is no such image, or the extra is missing.
    """
    try:
        import zarr  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise InputError("is OME-Zarr, which needs: pip install 'unetseg[zarr]'") from error
    with in_our_words():
        try:
            group = zarr.open_group(place, mode="r")
        except (FileNotFoundError, ValueError, KeyError) as error:
            raise InputError("is a folder, and not an OME-Zarr image") from error
        told = _ome(group)
        if not told.get("multiscales"):
            if inside := _image_inside(group, 3):
                rule = f"name an image inside it, such as {place.rstrip('/')}/{inside}"
                raise InputError(f"is no OME-Zarr image but a group of them; {rule}")
            raise InputError("is no OME-Zarr image: neither it nor a group inside it has multiscales")
        image = told["multiscales"][0]
        array: Any = group[image["datasets"][0]["path"]]
        _check_codecs(array.metadata.to_dict())
        if (size := prod(array.chunks) * array.dtype.itemsize) > MAX_BYTES:
            rule = f"at most {MAX_BYTES // 2**20} are read"
            raise InputError(f"is stored in chunks of {size / 2**20:,.0f} MiB; {rule}")
        axes = [axis if isinstance(axis, str) else axis["name"] for axis in image.get("axes", FORMER_AXES)]
        if len(axes) != array.ndim or not {"y", "x"} <= set(axes) <= set(FORMER_AXES):
            raise InputError(f"has the axes {', '.join(axes)}; read are {', '.join(FORMER_AXES)}")
        names = [each.get("label", "") for each in (told.get("omero") or {}).get("channels") or []]
        stack = _zarr_stack(array, axes, names, _zarr_pixel(image, axes))
    yield stack


def _ome(group: Any) -> Mapping[str, Any]:
    """Give the metadata of a group as OME-Zarr 0.4 and 0.5 have them."""
    told = dict(group.attrs)
    ome: Mapping[str, Any] = told.get("ome", told)
    return ome


def _image_inside(group: Any, depth: int) -> str:
    """Find the path of the first image inside a group; of a plate it is row, well and field. Empty if there is none."""
    for name, inside in sorted(group.groups(), key=itemgetter(0)):
        if _ome(inside).get("multiscales"):
            return str(name)
        if depth > 1 and (below := _image_inside(inside, depth - 1)):
            return f"{name}/{below}"
    return ""


def _zarr_stack(array: Any, axes: Sequence[str], names: Sequence[str], pixel: tuple[float, float] | None) -> Stack:
    sizes = dict(zip(axes, array.shape, strict=True))

    def read(time: int, depth: int, channels: Sequence[int], start: int, stop: int) -> Values:
        with in_our_words():
            return np.stack([plane(time, depth, channel, start, stop) for channel in channels], axis=-1)

    def plane(time: int, depth: int, channel: int, start: int, stop: int) -> Any:
        place = {"t": time, "c": channel, "z": depth, "y": slice(start, stop), "x": slice(None)}
        rows = np.asarray(array[tuple(place[axis] for axis in axes)])
        return rows if axes.index("y") < axes.index("x") else rows.T

    channels = sizes.get("c", 1)
    metadata = Metadata(names if len(names) == channels else [], pixel)
    return Stack(
        height=sizes["y"],
        width=sizes["x"],
        times=sizes.get("t", 1),
        depths=sizes.get("z", 1),
        channels=channels,
        colour=False,
        metadata=[metadata],
        dtype=array.dtype.newbyteorder("="),
        read=read,
    )


def _check_codecs(metadata: Any) -> None:
    """Refuse codecs that are not known to be harmless, wherever in an array's metadata they stand."""
    for key in ("compressor", "filters", "codecs", "index_codecs"):
        found = metadata.get(key) or []
        for codec in [found] if isinstance(found, Mapping) else found:
            name = str(codec.get("id", codec.get("name"))).removeprefix("numcodecs.")
            if name not in CODECS:
                raise InputError(f"is packed by the codec {name!r}, which is not read")
            _check_codecs(codec.get("configuration", {}))


def _zarr_pixel(image: Mapping[str, Any], axes: Sequence[str]) -> tuple[float, float] | None:
    """Find the size of a pixel in µm; metadata that nothing depends on may be absent or wrong."""
    try:
        units = {axis["name"]: axis.get("unit") for axis in image["axes"]}
        parts = [*image["datasets"][0]["coordinateTransformations"], *image.get("coordinateTransformations", [])]
        scales = [part["scale"] for part in parts if part["type"] == "scale"]
        height, width = (prod(float(scale[axes.index(a)]) for scale in scales) * LENGTHS[units[a]] for a in "yx")
    except (KeyError, TypeError, ValueError, IndexError):
        return None
    return (height, width) if scales and 0 < height < np.inf and 0 < width < np.inf else None


logging.getLogger("bioio").setLevel(logging.CRITICAL)  # report a broken file once, with our message


@contextmanager
def open_vendor(path: Path) -> Iterator[Stack]:
    """Open a CZI, ND2 or LIF file.

    Raises:
        InputError: without the file's name: if it is damaged, or the extra is missing.
    """
    try:
        from bioio import BioImage  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise InputError(f"is {path.suffix[1:].upper()}, which needs: pip install 'unetseg[bioio]'") from error
    czi = path.suffix.lower() == ".czi"
    with in_our_words():
        image: Any = BioImage(path)
        count = image.metadata.findtext(".//SizeS") if czi else None  # some programs do not list their scenes
        if count and int(count) != len(image.scenes):
            raise InputError(f"holds {count} scenes but lists {len(image.scenes)}; save each as a file of its own")
        shapes, metadata = set(), []
        for scene in image.scenes:
            image.set_scene(scene)
            shapes.add((image.shape, image.dtype))
            metadata.append(_vendor_metadata(image))
        if len(shapes) > 1:
            raise InputError(f"holds {len(image.scenes)} scenes of different sizes; save each as a file of its own")
        sizes = dict(zip(image.dims.order, image.shape, strict=True))
        colour = sizes.get("S", 1) == 3 and sizes["C"] == 1
        if sizes.get("S", 1) > 1 and not colour:
            raise InputError(f"has {sizes['C']} channels of {sizes['S']} samples; save it as OME-TIFF")

    def read(time: int, depth: int, channels: Sequence[int], start: int, stop: int) -> Values:
        with in_our_words():
            image.set_scene(image.scenes[time // sizes["T"]])
            axes, wanted = ("YXS", {"C": 0}) if colour else ("YXC", {"C": list(channels)})
            wanted |= {"T": time % sizes["T"], "Z": depth}
            if czi:  # whose dask array repeats the first sample; a LIF read otherwise would be read whole
                values = np.asarray(image.get_image_data(axes, Y=slice(start, stop), **wanted))
            else:
                values = np.asarray(image.get_image_dask_data(axes, **wanted)[start:stop].compute())
            if not colour:
                return values
            return (values[..., ::-1] if czi else values)[..., list(channels)]  # CZI stores blue, green, red

    yield Stack(
        height=sizes["Y"],
        width=sizes["X"],
        times=sizes["T"] * len(image.scenes),
        depths=sizes["Z"],
        channels=3 if colour else sizes["C"],
        colour=colour,
        metadata=metadata,
        dtype=np.dtype(image.dtype),
        read=read,
    )


def _vendor_metadata(image: Any) -> Metadata:
    """Find what the file tells of the scene that is set."""
    spacing = image.physical_pixel_sizes
    pixel = (float(spacing.Y), float(spacing.X)) if spacing.Y and spacing.X else None
    return Metadata([] if "S" in image.dims.order else list(map(str, image.channel_names)), pixel)
