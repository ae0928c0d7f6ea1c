"""Write OME-Zarr: the probability as an image, the objects as its labels, a row of chunks at a time."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Shaped

from unetseg.annotations.writing import Add, ImageInfo
from unetseg.errors import InputError
from unetseg.objects.strips import Strip

CHUNK = 1024  # height and width of a chunk, in pixels
AXES = ("y", "x")
VERSION = "0.5"  # of OME-Zarr, https://ngff.openmicroscopy.org/0.5


@contextmanager
def write_zarr(path: Path, about: ImageInfo) -> Iterator[Add]:
    """Write the probability times 65,535 and the numbers of the objects.

    Raises:
        InputError: if the extra is missing.
    """
    try:
        import zarr  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise InputError("--write zarr needs: pip install 'unetseg[zarr]'") from error
    image = zarr.create_group(path, attributes={"ome": _metadata(about)})
    image.create_group("labels", attributes={"ome": {"version": VERSION, "labels": ["objects"]}})
    source = {"image-label": {"source": {"image": "../../"}}}
    labels = image.create_group("labels/objects", attributes={"ome": _metadata(about) | source})
    add_probability, add_labels = (_writer(group, about, dtype) for group, dtype in ((image, "u2"), (labels, "u4")))

    def add(strip: Strip) -> None:
        add_probability(np.rint(strip.probability * 65535).astype(np.uint16))
        add_labels(strip.labels.astype(np.uint32))

    yield add


def _metadata(about: ImageInfo) -> dict[str, Any]:
    """Describe an image of one resolution."""
    unit = {"unit": "micrometer"} if about.pixel else {}
    axes = [{"name": name, "type": "space", **unit} for name in AXES]
    scale = {"type": "scale", "scale": [float(size) for size in about.pixel or (1, 1)]}
    multiscales = [{"axes": axes, "datasets": [{"path": "0", "coordinateTransformations": [scale]}]}]
    return {"version": VERSION, "multiscales": multiscales}


def _writer(group: Any, about: ImageInfo, dtype: str) -> Callable[[Shaped[np.ndarray, "rows width"]], None]:
    """Give the function that takes the next rows of an array, and writes whole chunks."""
    chunks = (min(CHUNK, about.height), min(CHUNK, about.width))
    size = about.height, about.width
    array = group.create_array("0", shape=size, chunks=chunks, dtype=dtype, dimension_names=AXES)
    waiting, top = np.zeros((0, about.width), dtype), 0

    def add(rows: Shaped[np.ndarray, "rows width"]) -> None:
        nonlocal waiting, top
        waiting = np.concatenate([waiting, rows])
        ready = len(waiting) if top + len(waiting) == about.height else len(waiting) // CHUNK * CHUNK
        if ready:
            array[top : top + ready] = waiting[:ready]
        waiting, top = waiting[ready:], top + ready

    return add
