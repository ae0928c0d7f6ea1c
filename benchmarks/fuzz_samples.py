"""Feed damaged pictures to the sample reader: whatever they hold, the only exception may be InputError.

Needs `pip install atheris` (Linux, CPython 3.11 to 3.13). Inputs that end in another exception, hang or take too much
memory are kept in --folder; each belongs into tests/images or tests/dataset.

    python benchmarks/fuzz_samples.py --minutes 30 --executions 1e6
"""

import argparse
import io
import os
import struct
import sys
import tempfile
import time
import traceback
import zlib
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import atheris
import cv2
import numpy as np
import tifffile
from PIL import Image

with atheris.instrument_imports(include=["unetseg"]):
    from unetseg.dataset import samples
    from unetseg.errors import InputError
    from unetseg.images import opening, rasters

MAX_PIXELS = 100_000  # in place of the reader's own limit: small pictures go through the same code in less time
SECONDS_AN_INPUT = 10
MEGABYTES = 4096
PNG = b"\x89PNG\r\n\x1a\n"


class Target:
    """Read a picture as an image and as a mask of itself, and count."""

    def __init__(self, folder: Path, seconds: float, most: float) -> None:
        """Go on for so many seconds or executions and keep what fails in a folder."""
        self.folder, self.seconds, self.most = folder, seconds, most
        memory = Path("/dev/shm")  # a file on a disk costs more than all that is done with it
        self.file = Path(tempfile.mkdtemp(dir=memory if memory.is_dir() else None)) / "picture"
        self.started = time.monotonic()
        self.executions = self.images = self.masks = 0
        self.failures: dict[str, Path] = {}

    def __call__(self, data: bytes) -> None:
        """Read one input; libFuzzer calls this with one after the other."""
        if self.executions >= self.most or time.monotonic() - self.started > self.seconds:
            self.report()
            os._exit(bool(self.failures))  # libFuzzer leaves without a chance to report
        self.executions += 1
        try:
            self.read(data)
        except InputError:
            pass
        except Exception as error:
            where = traceback.extract_tb(error.__traceback__)[-1]
            kind = f"{type(error).__name__} in {where.name}: {error}"
            if kind not in self.failures:
                self.failures[kind] = self.folder / f"finding-{len(self.failures)}"
                self.failures[kind].write_bytes(data)

    def read(self, data: bytes) -> None:
        """Read one input, and see to it that what is accepted is of the kind that it must be."""
        content = repaired(data)
        self.file.write_bytes(content)
        stored, image = opening.read_stored(self.file), opening.read_image(self.file)
        if image.shape != (*stored.pixels.shape[:2], 3) or image.dtype != np.uint8:
            raise RuntimeError(f"{stored.pixels.shape} came as {image.shape} of {image.dtype}")
        self.images += 1
        labels, _ = samples.merge_masks([self.file], stored)
        if labels.shape != image.shape[:2]:
            raise RuntimeError(f"{image.shape} came as labels of {labels.shape}")
        self.masks += 1

    def report(self) -> None:
        """Print what came of it."""
        seconds = time.monotonic() - self.started
        counts = f"{self.images} read as images, {self.masks} as masks"
        print(f"{self.executions} executions in {seconds:.0f} s, {counts}")
        print(f"{len(self.failures)} kinds of unhandled exceptions")
        for kind, path in self.failures.items():
            print(f"  {kind}: {path}")
        sys.stdout.flush()


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


def main() -> None:
    """Fuzz for the time asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--executions", type=float, default=float("inf"), help="end after so many, if that is earlier")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "fuzz_samples")
    options = parser.parse_args()
    corpus = options.folder / "corpus"  # grows, and the next run starts from it
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds()):
        (corpus / f"seed-{number}").write_bytes(seed)
    rasters.MAX_PIXELS = MAX_PIXELS
    limits = ["-max_len=2048", f"-timeout={SECONDS_AN_INPUT}", f"-rss_limit_mb={MEGABYTES}", "-verbosity=0"]
    quiet = "-close_fd_mask=2"  # the codecs tell each damage on stderr
    arguments = [sys.argv[0], *limits, quiet, f"-artifact_prefix={options.folder}/", str(corpus)]
    atheris.Setup(arguments, Target(options.folder, options.minutes * 60, options.executions))
    atheris.Fuzz()


if __name__ == "__main__":
    main()
