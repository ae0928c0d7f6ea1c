"""Runs of pixels down the columns, as COCO and the Data Science Bowl have them; the Bowl's table, in and out."""

import csv
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np
from jaxtyping import Bool, Int64

from unetseg.annotations.regions import Annotations, Reader, Region, Table, check_stated, gather, refuse, refusing, trim
from unetseg.annotations.writing import Listed
from unetseg.errors import InputError
from unetseg.files import unescaped, write_csv

CLASS_COLUMNS = {"class", "classid", "classname", "category", "categoryid", "label"}  # lower case, without _
DIGITS = 19  # from these on a number might not fit 64 bit
COLUMNS = ("ImageId", "EncodedPixels")
SIDES = ("height", "width")  # optional columns, which some tables spell with capitals
EXAMPLE = {"1 1"}  # of every image the first pixel: Kaggle's sample_submission.csv


def find_runs(
    mask: Bool[np.ndarray, "height width"], row: int, column: int, image_height: int
) -> tuple[Int64[np.ndarray, " runs"], Int64[np.ndarray, " runs"]]:
    """Find the runs of an object's pixels in its image, going down the columns from the left.

    The object is cut out of its image, so that its mask starts at `row` and `column` there.

    Returns:
        The number of pixels before each run's first one, and the run's length.
    """
    columns, rows = np.nonzero(mask.T)
    places = (columns.astype(np.int64) + column) * image_height + rows + row
    first = np.diff(places, prepend=-2) != 1
    starts = places[first]
    return starts, np.diff(np.flatnonzero(first), append=len(places))


def from_runs(
    starts: Int64[np.ndarray, " runs"], lengths: Int64[np.ndarray, " runs"], height: int, width: int
) -> Region | None:
    """Undo `find_runs`; None for an object without pixels.

    Raises:
        ValueError: if a run leaves the image.
    """
    if not lengths.any():
        return None
    ends = starts + lengths
    if starts.min() < 0 or lengths.min() < 0 or ends.max() > height * width:
        raise ValueError(f"a run leaves the image of {height}x{width} pixels")
    first, last = int(starts.min()) // height, int(ends.max() - 1) // height
    changes = np.zeros((last - first + 1) * height + 1, np.int32)
    np.add.at(changes, starts - first * height, 1)
    np.add.at(changes, ends - first * height, -1)
    columns = np.cumsum(changes[:-1]).reshape(-1, height) > 0
    return trim(np.ascontiguousarray(columns.T), 0, first)


def bowl_text(starts: Int64[np.ndarray, " runs"], lengths: Int64[np.ndarray, " runs"]) -> str:
    """Write runs as the Data Science Bowl's submission has them: first pixel, counted from 1, and length, in turn."""
    return " ".join(map(str, np.stack([starts + 1, lengths], axis=1).ravel().tolist()))


def write_bowl(path: Path, images: Sequence[Listed]) -> None:
    """Write the Data Science Bowl's submission: one row per object, an empty one for an image without."""
    names = [image.header["name"] for image in images]
    stems = [PurePosixPath(name).name for name in names]
    ids = stems if len(set(stems)) == len(stems) else names
    rows = (
        dict(zip(COLUMNS, (name, text), strict=True))
        for name, image in zip(ids, images, strict=True)
        for text in _texts(image)
    )
    write_csv(path, rows, COLUMNS)


def read_bowl(path: Path) -> Table:
    """Read the table of run lengths; images with a row of more or fewer cells than the header are refused.

    Rows whose `Usage` is "Ignored" are counted in place of read: the Bowl did not score them.

    Raises:
        InputError: naming the file, if it has no columns of these names, or if it is an example of a submission.
    """
    texts: dict[str, list[tuple[int, str, str]]] = defaultdict(list)
    sizes: dict[str, set[tuple[str | None, str | None]]] = defaultdict(set)
    cut: list[tuple[str | None, str]] = []
    ignored = 0
    limit = csv.field_size_limit(2**31 - 1)  # an object of many runs is one long field
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file)
            header = rows.fieldnames or ()
            if not {*COLUMNS} <= {*header}:
                raise KeyError
            stated = [next((name for name in header if name.lower() == side), None) for side in SIDES]
            kinds = [name for name in header if name.lower().replace("_", "") in CLASS_COLUMNS]
            for row in rows:
                name, text = (unescaped(row[column]) for column in COLUMNS)
                if None in row or None in row.values():
                    cells = "more" if None in row else "fewer"
                    cut.append((name, f"{path}: line {rows.line_num} has {cells} cells than the header"))
                elif row.get("Usage") == "Ignored":
                    ignored += 1
                else:
                    texts[name].append((rows.line_num, text, " ".join(row[kind] for kind in kinds)))
                    height, width = (row[side] or None if side else None for side in stated)
                    sizes[name].add((height, width))
    except (KeyError, csv.Error, UnicodeDecodeError) as error:
        raise InputError(f"{path}: is not a CSV table in UTF-8 with the columns {' and '.join(COLUMNS)}") from error
    finally:
        csv.field_size_limit(limit)

    if len(texts) > 1 and {text.strip() for some in texts.values() for _, text, _ in some} == EXAMPLE:
        rule = f"names the first pixel of each of its {len(texts)} images, as an example of a submission does"
        raise InputError(f"{path}: {rule}; take it away")
    readers: dict[str, Reader] = {}
    for name, some in texts.items():
        readers[name] = partial(_read_texts, f"{path}: {name}", some, sizes[name])
    readers |= {name: partial(refuse, line) for name, line in cut if name is not None}
    left_out = Counter({"rows of run lengths whose Usage is Ignored": ignored})
    return Table(readers, [line for name, line in cut if name is None], left_out)


def _read_texts(
    where: str, texts: list[tuple[int, str, str]], sizes: set[tuple[str | None, str | None]], height: int, width: int
) -> Annotations:
    """Read the rows of an image, each its line, runs and class; one without objects has an empty row."""
    for stated in sizes:
        check_stated(where, stated, height, width)
    found, classes = [], []
    for line, text, kind in texts:
        if words := text.split():
            with refusing(f"{where}: line {line} cannot be used"):
                found.append(_from_words(words, height, width))
            classes.append(kind)
    return gather(found, "run lengths without a pixel", classes=classes)


def _from_words(words: list[str], height: int, width: int) -> Region | None:
    if len(words) % 2 or not all(word.isascii() and word.isdigit() and len(word) < DIGITS for word in words):
        raise ValueError(f"{' '.join(words)!r:.40} is no first pixel and length in turn, whole numbers between spaces")
    runs = np.array(words, np.int64).reshape(-1, 2)
    return from_runs(runs[:, 0] - 1, runs[:, 1], height, width)


def _texts(image: Listed) -> Iterator[str]:
    """Give the text of each object, or an empty one for an image without."""
    texts = (bowl_text(*map(np.array, found["runs"])) for found in image.objects())
    yield next(texts, "")
    yield from texts
