"""Write samples into arrays of one size, which later stages open as memory maps."""

import math
from collections.abc import Callable, Iterator, Mapping, Set
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from jaxtyping import Shaped, UInt8, UInt16
from numpy.typing import DTypeLike

from unetseg import files
from unetseg.annotations.masks import number_parts
from unetseg.dataset.groups import read_rows
from unetseg.dataset.layout import SOURCES
from unetseg.dataset.problems import Findings, attempt_each
from unetseg.dataset.samples import count_objects, find_samples, modality, read_sample
from unetseg.dataset.subsets import TRUTH, packed
from unetseg.dataset.tiles import Tile, cut
from unetseg.errors import InputError
from unetseg.images import resampling
from unetseg.images.fingerprint import FINGERPRINT, fingerprint
from unetseg.images.stacks import Channel, Project

COLUMNS = (
    "index", "id", "height", "width", "channels", "pixel_size", "objects", "foreground", "modality", "image", "source",
)  # fmt: skip
TILE_COLUMNS = ("index", "id", "row", "column", "mean", "deviation", "polarity")


class Prepared(NamedTuple):
    """A sample at the size of the arrays, and its row of samples.csv but for the index."""

    row: dict[str, Any]
    image: UInt8[np.ndarray, "size size 3"]
    labels: UInt16[np.ndarray, "size size"]
    survivors: int  # of the objects, those with a pixel in `labels`
    truth: UInt8[np.ndarray, " bytes"]
    fingerprint: Shaped[np.ndarray, ""]
    warnings: list[str]
    tiles: list[Tile]


def write_arrays(
    samples: Path,
    out: Path,
    *,
    size: int,
    skip_bad: bool,
    tiles: bool = False,
    channel: Channel = "all",
    project: Project = "none",
) -> Findings:
    """Read and resize every sample; write the arrays images, masks, labels, truth and fingerprints, and samples.csv.

    The folder appears whole or not at all. Memory does not grow with the number of samples: they are appended to the
    files as they come, in the order of their names.

    Args:
        samples: the folder of sample folders.
        out: the folder to make.
        size: height and width of the arrays, in pixels.
        skip_bad: whether to go on without the samples that cannot be used.
        tiles: whether to write the samples at their own size too; see `unetseg.dataset.tiles`.
        channel: what of each image to look at; see `unetseg.images.stacks`.
        project: how depth becomes one image.

    Raises:
        InputError: with a line for each problem of any sample, if there are unusable ones and `skip_bad` is false, or
            if nothing usable is left.
    """
    folders, findings = find_samples(samples), Findings()
    sources = read_sources(samples)
    findings.warnings += unfit_sources(samples, sources, {folder.name for folder in folders})
    read = partial(prepare, size=size, tiles=tiles, channel=channel, project=project)
    with files.atomic_path(out) as beside:
        beside.mkdir()
        with _arrays(beside, size, tiles) as add:

            def rows() -> Iterator[dict[str, Any]]:
                for folder, prepared, problems in attempt_each(read, folders, "preprocess"):
                    if prepared is None:
                        findings.add_unusable(folder.name, problems)
                        continue
                    add(prepared)
                    yield {"index": findings.used, **prepared.row, "source": sources.get(folder.name, "")}
                    findings.add_usable(prepared.warnings, prepared.row["foreground"] > 0)

            files.write_csv(beside / "samples.csv", rows(), COLUMNS)
        findings.raise_unusable(skip_bad)
    return findings


def prepare(folder: Path, size: int, tiles: bool, channel: Channel, project: Project) -> Prepared:
    """Read a sample and resize it: the image by area, labels by the pixel nearest to each centre.

    The objects of a single mask are its parts, those of the resized mask included.

    Raises:
        InputError: with a line for every problem of the sample.
    """
    sample = read_sample(folder, channel, project)
    height, width = sample.labels.shape
    row = {
        "id": folder.name,
        "height": height,
        "width": width,
        "channels": sample.stored.channels,
        "pixel_size": math.sqrt(math.prod(pixel)) if (pixel := sample.stored.pixel) else None,
        "objects": count_objects(sample.labels),
        "foreground": float((sample.labels > 0).mean()),
        "modality": modality(sample.image),
        "image": sample.path.relative_to(folder.parent).as_posix(),
    }
    labels = cv2.resize(sample.labels, (size, size), interpolation=cv2.INTER_NEAREST_EXACT)
    survivors = count_objects(labels)
    if sample.parts:  # resized, they may touch or fall apart: then a perfect mask has other parts
        labels = number_parts(labels > 0, folder)
    squares = list(cut(folder.name, sample.image, sample.labels, size)) if tiles else []
    image, truth = resampling.fit(sample.image, size), packed(sample.labels)
    return Prepared(row, image, labels, survivors, truth, fingerprint(sample.stored.pixels), sample.warnings, squares)


def unfit_sources(samples: Path, sources: Mapping[str, str], ids: Set[str]) -> Iterator[str]:
    """Tell rows of sources.csv of no sample, and samples without a row where others have one."""
    for names, rule in ((sources.keys() - ids, "rows are of no sample"), (ids - sources.keys(), "samples have no row")):
        if sources and names:
            yield f"{samples / SOURCES}: {len(names)} {rule}, such as {min(names)}"


def read_sources(samples: Path) -> dict[str, str]:
    """Read from sources.csv which source each sample has; without the file, or without a row, it has none.

    Raises:
        InputError: if it is no CSV file with the columns id and source, or a sample has several rows.
    """
    path = samples / SOURCES
    rows, problems = read_rows(path, ("source",)) if path.is_file() else ([], {})
    if problems:
        raise InputError(*problems.values())
    return {row["id"]: row["source"] for row in rows}


@contextmanager
def tiles_file(out: Path, size: int) -> Iterator[Callable[[Tile], None]]:
    """Open tiles.npy, tile_labels.npy and tiles.csv in a folder; yield the function that appends a tile."""
    rows: list[dict[str, Any]] = []
    with (
        growing(out / "tiles.npy", np.uint8, (size, size, 3)) as add_image,
        growing(out / "tile_labels.npy", np.uint16, (size, size)) as add_labels,
    ):

        def append(tile: Tile) -> None:
            add_image(tile.image)
            add_labels(tile.labels)
            rows.append({"index": len(rows), **tile.row})

        yield append
    files.write_csv(out / "tiles.csv", rows, TILE_COLUMNS)


@contextmanager
def growing(path: Path, dtype: DTypeLike, shape: tuple[int, ...]) -> Iterator[Callable[[np.ndarray], None]]:
    """Open a .npy file that grows row by row; yield the function that appends one row or several.

    Not a memory map: what is written to one counts as this process's memory, and a full disk kills the process.
    """
    rows = 0

    def write_header() -> None:
        kind = np.lib.format.dtype_to_descr(np.dtype(dtype))
        header = {"descr": kind, "fortran_order": False, "shape": (rows, *shape)}
        np.lib.format.write_array_header_1_0(file, header)  # leaves room for the number of rows to grow

    def append(row: np.ndarray) -> None:
        nonlocal rows
        file.write(row.tobytes())
        rows += row.size // math.prod(shape)

    with path.open("wb") as file:
        write_header()
        yield append
        file.seek(0)
        write_header()


@contextmanager
def _arrays(out: Path, size: int, tiles: bool) -> Iterator[Callable[[Prepared], None]]:
    """Open the arrays in a folder; yield the function that appends a sample to each."""
    with (
        growing(out / "images.npy", np.uint8, (size, size, 3)) as add_image,
        growing(out / "masks.npy", np.uint8, (size, size)) as add_mask,
        growing(out / "labels.npy", np.uint16, (size, size)) as add_labels,
        growing(out / TRUTH, np.uint8, ()) as add_truth,
        growing(out / "fingerprints.npy", FINGERPRINT, ()) as add_fingerprint,
        tiles_file(out, size) if tiles else nullcontext(list[Tile]().append) as add_tile,
    ):

        def add(sample: Prepared) -> None:
            add_image(sample.image)
            add_mask((sample.labels > 0).view(np.uint8))
            add_labels(sample.labels)
            add_truth(sample.truth)
            add_fingerprint(sample.fingerprint)
            for tile in sample.tiles:
                add_tile(tile)

        yield add
