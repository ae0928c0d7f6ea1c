"""Make the files of a sample in the archive: those of a sample folder, or an image and masks of its objects."""

import io
from collections import Counter
from collections.abc import Iterator, Sequence
from hashlib import sha256
from typing import Any, NamedTuple

import cv2
import numpy as np
import tifffile
from jaxtyping import Shaped

from unetseg.annotations.masks import LONE, check_count, is_label_image
from unetseg.annotations.regions import EMPTY, IGNORED, OUTSIDE, Region, overlap
from unetseg.dataset.items import Item
from unetseg.dataset.samples import count_objects, list_files, read_sample
from unetseg.errors import InputError
from unetseg.images.names import SUFFIXES
from unetseg.images.opening import Stored, read_stored
from unetseg.images.stacks import Channel, Project
from unetseg.images.tiff_metadata import PAGE_NAME


class Packed(NamedTuple):
    """The files of a sample in the archive, how many objects it has, in all and of each class, and its pixels' hash."""

    files: list[tuple[str, bytes]]
    objects: int
    left_out: Counter[str]
    classes: Counter[str]
    pixels: str


def pack(item: Item, channel: Channel, project: Project) -> Packed:
    """Read an image and its objects, and make the files of its sample; what is not asked for is as in prediction.

    Raises:
        InputError: naming the file, if one cannot be used, or if objects are stated and none of them can be used: the
            image is not empty then; and if as many outlines lie outside the image as inside.
    """
    channel = item.channel if channel == "all" else channel
    project = item.project if project == "none" else project
    if item.read is None:
        return _copy(item, channel, project)
    stored = read_stored(item.image, item.plane, channel=channel, project=project)
    if stored.orientation != 1:
        raise InputError(f"{item.image}: has orientation {stored.orientation}; save it upright")
    height, width = stored.pixels.shape[:2]
    regions, left_out, classes = item.read(height, width)
    if (outside := left_out[OUTSIDE]) >= max(len(regions), 1):
        counts = f"{outside} {OUTSIDE} of {height}x{width} pixels, {len(regions)} inside"
        raise InputError(f"{item.image}: has {counts}; were they drawn on another size of it?")
    if not regions and (stated := left_out - Counter({each: left_out[each] for each in (IGNORED, EMPTY)})):
        lost = "; ".join(f"{count} {reason}" for reason, count in stated.items())
        raise InputError(f"{item.image}: has objects, of which none can be used: {lost}")
    check_count(len(regions), item.image)
    masks = [(f"{item.name}/masks/{name}.png", content) for name, content in _masks(regions, height, width)]
    return Packed([_image(item, stored, channel, project), *masks], len(regions), left_out, classes, _hash(stored))


def _copy(item: Item, channel: Channel, project: Project) -> Packed:
    """Take a sample folder as it is, once it is known that the archive's reader accepts it.

    Masks are numbered in their order: not every archive can hold their names.
    """
    folder = item.image.parent.parent
    sample = read_sample(folder, channel, project)
    files = list_files(folder / "masks")
    masks = []
    for number, file in enumerate(files, 1):
        suffix = file.suffix.lower() if file.suffix.lower() in SUFFIXES else ""
        masks.append((f"{item.name}/masks/{number:05}{suffix}", file.read_bytes()))
    objects = len(files) if len(files) > 1 else count_objects(sample.labels)
    image = _image(item, sample.stored, channel, project)
    return Packed([image, *masks], objects, Counter(), Counter(), _hash(sample.stored))


def _hash(stored: Stored) -> str:
    """Hash an image's values and shape, however its file holds them; empty for one value, as in any blank image."""
    if stored.pixels.min() == stored.pixels.max():
        return ""
    values = stored.pixels.astype(stored.pixels.dtype.newbyteorder("="), copy=False)
    return sha256(f"{values.dtype} {values.shape}".encode() + values.tobytes()).hexdigest()


def _image(item: Item, stored: Stored, channel: Channel, project: Project) -> tuple[str, bytes]:
    """Copy the image's file, or write what was chosen of it, or is no single file, as TIFF."""
    suffix = item.image.suffix.lower()
    if (channel, project, item.plane) == ("all", "none", None) and suffix in SUFFIXES and item.image.is_file():
        return f"{item.name}/images/{item.name}{suffix}", item.image.read_bytes()
    return f"{item.name}/images/{item.name}.tif", _tiff(stored)


def _tiff(stored: Stored) -> bytes:
    """Write values as they are stored, with what its channel was chosen by: `--channel` and `data.channel` find it so.

    The size of a pixel is written where it is known and fits a TIFF.
    """
    stream, about = io.BytesIO(), dict[str, Any]()
    if stored.channel:
        about["extratags"] = [(PAGE_NAME, "s", 0, stored.channel.encode(), True)]
    if stored.pixel and min(stored.pixel) > 1e-5:  # a TIFF counts pixels in a centimetre, in 32 bit
        height, width = stored.pixel
        about |= {"resolution": (1e4 / width, 1e4 / height), "resolutionunit": "CENTIMETER"}
    kind = "rgb" if stored.pixels.shape[2] == len("RGB") else "minisblack"
    pixels = stored.pixels.squeeze(2) if kind == "minisblack" else stored.pixels
    tifffile.imwrite(stream, pixels, photometric=kind, compression="zlib", metadata=None, **about)
    return stream.getvalue()


def _masks(regions: Sequence[Region], height: int, width: int) -> Iterator[tuple[str, bytes]]:
    """Write one label image, or one file per object where objects overlap; all zero where there are none."""
    labels = np.zeros((height, width), np.uint16)
    if overlap(regions, height, width) or not _paint(labels, regions):
        for number, region in enumerate(regions, 1):
            single = np.zeros((height, width), np.uint8)
            single[region.box][region.mask] = 255
            yield f"{number:05}", _png(single)
    else:
        yield "labels", _png(labels)


def _paint(labels: Shaped[np.ndarray, "height width"], regions: Sequence[Region]) -> bool:
    """Number the pixels of objects that do not overlap, and tell whether a reader will take them for a label image."""
    for number, region in enumerate(regions, LONE if len(regions) == 1 else 1):  # 1 alone would be a mask
        labels[region.box][region.mask] = number
    return is_label_image(labels, len(regions))


def _png(pixels: Shaped[np.ndarray, "height width"]) -> bytes:
    return bytes(cv2.imencode(".png", pixels, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1])
