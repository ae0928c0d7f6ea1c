"""Count how often a label image is refused, and a mask with blurred edges, a border or classes is taken for one.

    python benchmarks/label_images.py --samples 60 stage1_small.zip nuinsseg.zip

Each sample's objects are written as label images (16 bit, with gaps, in another order, 8 bit where they fit) and as one
mask, resized and blurred in the ways of image programs, with a border of 128 in its objects or of 255 around them, and
with its objects in 2, 3 and 5 classes; each file is then read as the only mask of an image. Of label images the number
of objects has to be right; a mask has to be refused or read as its parts.
"""

import argparse
import tempfile
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from unetseg.annotations.masks import blank, read_labels
from unetseg.dataset.samples import find_samples, read_sample
from unetseg.errors import InputError

WAYS = {"linear": cv2.INTER_LINEAR, "area": cv2.INTER_AREA, "cubic": cv2.INTER_CUBIC}


def label_images(labels: np.ndarray, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Number the objects in four ways."""
    count = int(labels.max())
    order = np.append(0, rng.permutation(count) + 1).astype(np.uint16)
    yield from (labels, labels * np.uint16(3), order[labels])
    if count < 256:
        yield labels.astype(np.uint8)


def masks(labels: np.ndarray, rng: np.random.Generator) -> Iterator[tuple[str, np.ndarray]]:
    """Make masks of all objects that are no label images, and say how."""
    mask = (labels > 0) * np.uint8(255)
    for name, way in WAYS.items():
        for factor in (0.25, 0.7, 1.5, 2.5):
            yield f"resized, {name}", cv2.resize(mask, None, fx=factor, fy=factor, interpolation=way)
    yield "blurred", cv2.GaussianBlur(mask, (5, 5), 1.0)
    yield "border", np.where(cv2.erode(mask, np.ones((3, 3))) > 0, mask, mask // 2 + mask % 2)
    grown = cv2.dilate(mask, np.ones((5, 5)))
    if labels.max() < 255:
        yield "border of 255 around", np.where(labels > 0, labels, grown).astype(np.uint8)
    for classes in (2, 3, 5):
        kinds = np.append(0, rng.integers(1, classes + 1, int(labels.max()))).astype(np.uint8)
        yield "classes", kinds[labels]


def outcome(image: np.ndarray, objects: int | None, path: Path) -> str:
    """Read an image as a sample's only mask; `objects` are those of a label image, None of a mask."""
    cv2.imwrite(str(path), image)
    try:
        found = int(read_labels(path, blank(*image.shape)).max())
    except InputError:
        return "refused"
    parts = cv2.connectedComponents((image > 0).view(np.uint8), connectivity=4)[0] - 1
    return "right" if found == (parts if objects is None else objects) else "WRONG"


def main() -> None:
    """Print what became of each kind of file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("archives", nargs="+", type=Path)
    parser.add_argument("--samples", type=int, default=60, help="of each archive")
    options = parser.parse_args()
    rng, counts = np.random.default_rng(0), Counter[tuple[str, str]]()
    with tempfile.TemporaryDirectory() as name:
        for archive in options.archives:
            with zipfile.ZipFile(archive) as packed:
                packed.extractall(Path(name) / archive.stem)
            for folder in find_samples(Path(name) / archive.stem)[: options.samples]:
                labels = np.unique(read_sample(folder).labels, return_inverse=True)[1].astype(np.uint16)
                if labels.max() < 2:
                    continue
                for image in label_images(labels, rng):
                    counts["label image", outcome(image, int(labels.max()), Path(name) / "a.png")] += 1
                for kind, image in masks(labels, rng):
                    counts[kind, outcome(image, None, Path(name) / "a.png")] += 1
    for (kind, became), count in sorted(counts.items()):
        print(f"{kind:20} {became:8} {count}")


if __name__ == "__main__":
    main()
