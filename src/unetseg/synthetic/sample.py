"""Make the bundled sample: synthetic nuclei in the layout of the 2018 Data Science Bowl, the same bytes every time."""

import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from jaxtyping import UInt8, UInt16

from unetseg.files import atomic_path
from unetseg.synthetic.phantoms import PAINTERS

SMALLEST_OBJECT = 12  # pixels; smaller remainders of cut nuclei are not marked
EPOCH = (2018, 1, 1, 0, 0, 0)  # date of every member, so that the same content gives the same bytes


@dataclass(frozen=True)
class Slide:
    """A field to paint and to cut into `rows` × `columns` neighbouring tiles of `height` × `width` pixels."""

    kind: Literal["fluorescence", "tissue"]
    rows: int
    columns: int
    height: int
    width: int
    nuclei: int  # per tile, on average
    channels: Literal[1, 3, 4]  # how the tiles are stored


@dataclass(frozen=True)
class Tile:
    """An image as it is stored (BGR order, as OpenCV writes it) and its nuclei; tiles of one `field` are neighbours."""

    name: str
    field: str
    image: UInt8[np.ndarray, "height width ..."]
    labels: UInt16[np.ndarray, "height width"]
    source: str = ""


SAMPLE = (
    *[Slide("fluorescence", 2, 2, 256, 256, nuclei, 1) for nuclei in (14, 22, 32)],
    *[Slide("fluorescence", 1, 1, 256, 256, nuclei, 1) for nuclei in (4, 12)],
    *[Slide("fluorescence", 1, 1, 256, 256, nuclei, 4) for nuclei in (20, 28)],
    *[Slide("fluorescence", 1, 2, 256, 320, nuclei, 1) for nuclei in (16, 26)],
    *[Slide("fluorescence", 1, 1, 256, 320, nuclei, 1) for nuclei in (10, 30)],
    Slide("fluorescence", 2, 1, 360, 360, 30, 1),
    *[Slide("fluorescence", 1, 1, 360, 360, nuclei, 1) for nuclei in (18, 40)],
    *[Slide("fluorescence", 1, 1, 520, 696, nuclei, 1) for nuclei in (50, 80)],
    Slide("tissue", 2, 2, 256, 256, 24, 3),
    *[Slide("tissue", 1, 2, 256, 256, nuclei, 3) for nuclei in (18, 22, 30)],
    Slide("tissue", 2, 1, 256, 320, 26, 3),
    *[Slide("tissue", 1, 1, 256, 256, nuclei, 4) for nuclei in (12, 20, 26, 34)],
    *[Slide("tissue", 1, 1, 256, 320, nuclei, 3) for nuclei in (20, 32)],
)


ELSEWHERE = (
    *[Slide("fluorescence", 1, 1, 256, 256, nuclei, 1) for nuclei in (8, 12, 16, 20)],
    *[Slide("tissue", 1, 1, 256, 256, nuclei, 3) for nuclei in (8, 12, 16)],
)


def make_elsewhere() -> Iterator[Tile]:
    """Paint an experiment of another laboratory: magnified 1.5 times, dim on a raised background, or stained bluer."""
    for tile in make_tiles(ELSEWHERE, seed=1):
        image, labels = (
            cv2.resize(plane[:171, :171], (256, 256), interpolation=how)
            for plane, how in ((tile.image, cv2.INTER_LINEAR), (tile.labels, cv2.INTER_NEAREST_EXACT))
        )
        scale, offset = ((0.5,), (50,)) if image.ndim == 2 else ((0.95, 0.8, 0.75), (0, 8, 8))
        image = (np.round((image * np.array(scale) + offset) / 4) * 4).astype(np.uint8)
        source = "dim camera" if image.ndim == 2 else "blue stain"
        yield replace(tile, name=f"elsewhere-{tile.name}", image=image, labels=labels, source=source)


def make_tiles(slides: Sequence[Slide] = SAMPLE, seed: int = 0) -> Iterator[Tile]:
    """Paint each slide and cut it into tiles, row by row.

    The same seed and slides give the same tiles; a slide's tiles do not depend on the slides after it.
    """
    for number, slide in enumerate(slides):
        rng = np.random.default_rng((seed, number))
        height, width = slide.rows * slide.height, slide.columns * slide.width
        painted = PAINTERS[slide.kind](rng, height, width, slide.nuclei * slide.rows * slide.columns)
        field = f"{slide.kind}-{number:02d}"
        for row, column in np.ndindex(slide.rows, slide.columns):
            cut = np.s_[
                row * slide.height : (row + 1) * slide.height, column * slide.width : (column + 1) * slide.width
            ]
            image = _with_channels(painted.image[cut], slide.channels)
            yield Tile(f"{field}-{row}{column}", field, image, _without_specks(painted.labels[cut]))


def write_archive(path: Path, tiles: Iterable[Tile]) -> None:
    """Write a zip of <name>/images/<name>.png and, per nucleus, <name>/masks/<number>.png (0 or 255); sources.csv."""
    sources: list[str] = []
    with atomic_path(path) as beside, zipfile.ZipFile(beside, "w") as archive:
        for tile in tiles:
            if tile.source:
                sources.append(f"{tile.name},{tile.source}\n")
            _add(archive, f"{tile.name}/images/{tile.name}.png", _png(tile.image))
            for number in np.unique(tile.labels[tile.labels > 0]):
                mask = np.where(tile.labels == number, 255, 0).astype(np.uint8)
                _add(archive, f"{tile.name}/masks/{number}.png", _png(mask, cv2.IMWRITE_PNG_BILEVEL, 1))
        if sources:
            _add(archive, "sources.csv", "".join(["id,source\n", *sources]).encode())


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    member = zipfile.ZipInfo(name, EPOCH)
    member.create_system = 3  # Unix, whatever system writes it
    member.external_attr = 0o644 << 16
    archive.writestr(member, content)  # stored: PNG does not compress further


def _png(pixels: np.ndarray, *options: int) -> bytes:
    _, encoded = cv2.imencode(
        ".png",
        pixels,
        [cv2.IMWRITE_PNG_COMPRESSION, 9, cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_FILTERED, *options],
    )
    return encoded.tobytes()


def _with_channels(rgb: UInt8[np.ndarray, "height width 3"], channels: int) -> UInt8[np.ndarray, "height width ..."]:
    codes = {1: cv2.COLOR_RGB2GRAY, 3: cv2.COLOR_RGB2BGR, 4: cv2.COLOR_RGB2BGRA}
    return cv2.cvtColor(rgb, codes[channels])


def _without_specks(labels: UInt16[np.ndarray, "height width"]) -> UInt16[np.ndarray, "height width"]:
    kept = np.bincount(labels.ravel()) >= SMALLEST_OBJECT
    kept[0] = False
    return np.where(kept[labels], labels, 0).astype(np.uint16)
