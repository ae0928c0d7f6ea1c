"""Feed damaged pictures to the sample reader: whatever they hold, the only exception may be InputError.

Needs `pip install atheris` (Linux, CPython 3.11 to 3.13). Inputs that end in another exception, hang or take too much
memory are kept in --folder; each belongs into tests/images or tests/dataset.

    python benchmarks/fuzz_samples.py --minutes 30 --executions 1e6
"""

import io
import struct
import tempfile
import zlib
from collections.abc import Iterator
from functools import partial
from itertools import product
from pathlib import Path

import atheris
import cv2
import numpy as np
import tifffile
from fuzzing import fuzz
from PIL import Image

with atheris.instrument_imports(include=["unetseg"]):
    from unetseg.dataset import samples
    from unetseg.images import opening, rasters

MAX_PIXELS = 100_000  # in place of the reader's own limit: small pictures go through the same code in less time
PNG = b"\x89PNG\r\n\x1a\n"


def read(file: Path, data: bytes) -> Iterator[str]:
    """Read one input, from a file, and see to it that what is accepted is of the kind that it must be."""
    file.write_bytes(repaired(data))
    stored, image = opening.read_stored(file), opening.read_image(file)
    if image.shape != (*stored.pixels.shape[:2], 3) or image.dtype != np.uint8:
        raise RuntimeError(f"{stored.pixels.shape} came as {image.shape} of {image.dtype}")
    yield "read as images"
    labels, _ = samples.merge_masks([file], stored)
    if labels.shape != image.shape[:2]:
        raise RuntimeError(f"{image.shape} came as labels of {labels.shape}")
    yield "as masks"


def repaired(data: bytes) -> bytes:
    """Correct the checksums of a PNG, which would otherwise stop almost every change at the gate."""
    if not data.startswith(PNG):
        return data
    content, position = bytearray(data), len(PNG)
    while position + 12 <= len(content):
        end = position + 8 + struct.unpack_from(">I", content, position)[0]
        if end + 4 > len(content):
            break
        struct.pack_into(">I", content, end, zlib.crc32(content[position + 4 : end]))
        position = end + 4
    return bytes(content)


def seeds() -> Iterator[bytes]:
    """Make small pictures of every form that the reader knows."""
    mask = np.zeros((9, 11), np.uint8)
    mask[2:5, 3:9] = 255
    grey = np.arange(99, dtype=np.uint8).reshape(9, 11)
    exif = Image.Exif()
    exif[rasters.ORIENTATION] = 6
    palette = Image.fromarray(mask // 255)
    palette.putpalette([0, 0, 0, 200, 0, 0])
    forms = [Image.fromarray(each) for each in (mask, grey, np.dstack([grey] * 3), np.dstack([grey] * 4), mask > 0)]
    for image, kind in product([*forms, palette, forms[1].convert("CMYK")], ("PNG", "JPEG", "BMP", "TIFF")):
        content = io.BytesIO()
        try:
            image.save(content, kind, exif=exif)
        except OSError:  # the format has no such form
            continue
        yield content.getvalue()
    for dtype, order in product((np.uint16, np.int32, np.float16, np.float32, np.float64), "<>"):
        content = io.BytesIO()
        tifffile.imwrite(content, grey.astype(dtype), byteorder=order, metadata=None)
        yield content.getvalue()
    for options in ({"compression": "zlib"}, {"tile": (16, 16)}, {"bigtiff": True}):
        content = io.BytesIO()
        tifffile.imwrite(content, np.dstack([grey] * 3), photometric="rgb", **options)
        yield content.getvalue()
    yield cv2.imencode(".png", grey.astype(np.uint16) * 200)[1].tobytes()


if __name__ == "__main__":
    rasters.MAX_PIXELS = MAX_PIXELS
    memory = Path("/dev/shm")  # a file on a disk costs more than all that is done with it
    picture = Path(tempfile.mkdtemp(dir=memory if memory.is_dir() else None)) / "picture"
    quiet = "-close_fd_mask=2"  # the codecs tell each damage on stderr
    fuzz(__doc__, partial(read, picture), seeds(), quiet, outcomes=["read as images", "as masks"])
