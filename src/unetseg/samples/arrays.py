"""Write samples into arrays of one size, which later stages open as memory maps."""

import contextlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from jaxtyping import Shaped, UInt8, UInt16
from numpy.typing import DTypeLike

from unetseg import files
from unetseg.images import resampling
from unetseg.images.traits import TRAITS, traits
from unetseg.parallel import in_processes
from unetseg.progress import progress
from unetseg.samples.problems import Findings, attempt
from unetseg.samples.samples import find_samples, modality, read_sample

COLUMNS = ("index", "id", "height", "width", "channels", "objects", "foreground", "modality", "image")


class Prepared(NamedTuple):
    """A sample at the size of the arrays, and its row of samples.csv but for the index."""

    row: dict[str, Any]
    image: UInt8[np.ndarray, "size size 3"]
    labels: UInt16[np.ndarray, "size size"]
    traits: Shaped[np.ndarray, ""]
    warnings: list[str]


def write_arrays(samples: Path, out: Path, *, size: int, skip_bad: bool) -> Findings:
    """Read every sample, resize it, and write images.npy, masks.npy, labels.npy, traits.npy and samples.csv.

    The folder appears whole or not at all. Memory does not grow with the number of samples: they are appended to the
    files as they come, in the order of their names.

    Args:
        samples: the folder of sample folders.
        out: the folder to make.
        size: height and width of the arrays, in pixels.
        skip_bad: whether to go on without the samples that cannot be used.

    Raises:
        InputError: with a line for each problem of any sample, if there are unusable ones and `skip_bad` is false, or
            if nothing usable is left.
    """
    folders = find_samples(samples)
    findings = Findings()
    with files.atomic_path(out) as beside:
        beside.mkdir()
        rows = _append_samples(folders, beside, size, findings)
        findings.raise_unusable(skip_bad)
        files.write_csv(beside / "samples.csv", rows, COLUMNS)
    return findings


def prepare(folder: Path, size: int) -> Prepared:
    """Read a sample and resize it: the image by area, labels by the pixel nearest to each centre.

    Raises:
        InputError: with a line for every problem of the sample.
    """
    sample = read_sample(folder)
    height, width = sample.labels.shape
    row = {
        "id": folder.name,
        "height": height,
        "width": width,
        "channels": sample.stored.header.channels,
        "objects": int(np.count_nonzero(np.bincount(sample.labels.ravel())[1:])),
        "foreground": float((sample.labels > 0).mean()),
        "modality": modality(sample.image),
        "image": sample.path.relative_to(folder.parent).as_posix(),
    }
    labels = cv2.resize(sample.labels, (size, size), interpolation=cv2.INTER_NEAREST_EXACT)
    image = resampling.fit(sample.image, size)
    return Prepared(row, image, labels, traits(sample.stored.pixels), list(sample.warnings))


def _append_samples(folders: list[Path], out: Path, size: int, findings: Findings) -> list[dict[str, Any]]:
    """Write the arrays, and give the rows of the samples that are in them."""
    rows: list[dict[str, Any]] = []
    results = in_processes(partial(attempt, prepare, size=size), folders)
    with (
        _growing(out / "images.npy", np.uint8, (size, size, 3)) as add_image,
        _growing(out / "masks.npy", np.uint8, (size, size)) as add_mask,
        _growing(out / "labels.npy", np.uint16, (size, size)) as add_labels,
        _growing(out / "traits.npy", TRAITS, ()) as add_traits,
    ):
        for folder, (prepared, problems) in zip(folders, progress(results, "preprocess", len(folders)), strict=True):
            if prepared is None:
                findings.add_unusable(folder.name, problems)
                continue
            findings.add_usable(prepared.warnings, prepared.row["foreground"] > 0)
            add_image(prepared.image)
            add_mask((prepared.labels > 0).view(np.uint8))
            add_labels(prepared.labels)
            add_traits(prepared.traits)
            rows.append({"index": len(rows), **prepared.row})
    return rows


@contextlib.contextmanager
def _growing(path: Path, dtype: DTypeLike, shape: tuple[int, ...]) -> Iterator[Callable[[np.ndarray], None]]:
    """Open a .npy file that grows by a row of one shape at a time; give the function that appends one.

    Not a memory map: what is written to one counts as this process's memory, and a full disk kills the process.
    """
    rows = 0

    def write_header() -> None:
        header = {
            "descr": np.lib.format.dtype_to_descr(np.dtype(dtype)),
            "fortran_order": False,
            "shape": (rows, *shape),
        }
        np.lib.format.write_array_header_1_0(file, header)  # leaves room for the number of rows to grow

    def append(row: np.ndarray) -> None:
        nonlocal rows
        file.write(row.tobytes())
        rows += 1

    with path.open("wb") as file:
        write_header()
        yield append
        file.seek(0)
        write_header()
