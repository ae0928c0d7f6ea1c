"""Read the results of `unetseg predict`, image by image, at display size."""

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import cv2
import numpy as np
from jaxtyping import Float32, Shaped, UInt8
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, NonNegativeInt, ValidationError

from unetseg.errors import InputError
from unetseg.images.names import from_text
from unetseg.images.opening import open_image
from unetseg.images.resampling import resize
from unetseg.images.stacks import Project
from unetseg.images.tiling import cut_rows
from unetseg.prediction.quality import uncertainty
from unetseg.report.entries import Entry

LARGEST = 1024  # pixels; an image at least twice as high or wide is shrunk as it is read
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # report a broken mask once, with our message

NOT_SCORES = {"image", "path", "plane", "channel", "project", "mask", "probability"}

Score = bool | Annotated[int, Field(ge=-(2**53), le=2**53)] | FiniteFloat | str | None


class Listed(BaseModel):
    """An image as predict.json lists it."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Score]

    image: str
    path: str
    mask: str
    plane: NonNegativeInt | None = None
    channel: NonNegativeInt | str = "all"
    project: Project = "none"
    probability: str | None = None


class Predictions(BaseModel):
    """The content of predict.json; beside the images, how they were predicted."""

    images: list[Listed]


Rows = Callable[[int, int], Shaped[np.ndarray, "rows width *channels"]]


def read_predictions(folder: Path) -> dict[str, Any]:
    """Read predict.json, the list of results in a folder.

    Its `images` hold for each image `image` (its name), `path` (the file; a relative one starts at the folder), `plane`
    (of a stack, or null), `channel` and `project`, `mask` and, where it was written, `probability` (both relative to
    the folder); whatever else it holds of an image is a score: `objects`, `uncertainty` (of the pixels), or
    `estimated_dice`, by which the page sorts. Everything beside `images` is a parameter of the run.

    Raises:
        InputError: if there is no such file, or with a line for each file that it names and that is gone.
    """
    listed = folder / "predict.json"
    try:
        content = json.loads(listed.read_text(encoding="utf-8"), parse_constant=_finite, parse_float=_finite)
        images = [each.model_dump(exclude_unset=True) for each in Predictions.model_validate(content).images]
    except FileNotFoundError as error:
        raise InputError(f"{listed}: not there; DIR is the folder that `unetseg predict --out DIR` wrote") from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        rule = f"is not what `unetseg predict` writes: {place or 'content'}: {first['msg']}"
        raise InputError(f"{listed}: {rule}; predict again") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{listed}: is not what `unetseg predict` writes; predict again") from error
    for image in images:
        if not _is_url(image["path"]) and not (folder / image["path"]).exists():
            image["path"] = from_text(image["path"])
    named = [image[key] for image in images for key in ("path", "mask", "probability") if image.get(key)]
    files = [folder / name for name in named if not _is_url(name)]
    if gone := [str(file) for file in dict.fromkeys(files) if not file.exists()]:
        raise InputError(*(f"{file}: is gone; put it back or predict again" for file in gone))
    return {**content, "images": images}


def predicted_entries(folder: Path, images: Sequence[Mapping[str, Any]]) -> Iterator[Entry]:
    """Yield the images that predict.json lists, large ones shrunk while they are read; only masks are in memory."""
    for image in images:
        scores = {name: value for name, value in image.items() if name not in NOT_SCORES}
        chosen = {key: image[key] for key in ("channel", "project") if key in image}
        path = image["path"] if _is_url(image["path"]) else folder / image["path"]
        with open_image(path, image.get("plane"), **chosen) as opened:
            seen = shrink(opened.rows, opened.height, opened.width)
        mask = _read_mask(folder / image["mask"])
        probability = None
        if image.get("probability"):
            probability, scores["uncertainty"] = _read_probability(folder / image["probability"])
        yield Entry(image["image"], seen, mask, None, probability, scores)


def shrink(rows: Rows, height: int, width: int) -> Shaped[np.ndarray, "_ _ *channels"]:
    """Shrink an image by a whole factor to 1024 to 2047 pixels, by area means, while reading it from the top.

    One that is lower and narrower than 2048 pixels stays as it is. `rows` gives the rows from a first one to one before
    the last.
    """
    factor = max(1, max(height, width) // LARGEST)
    strips = cut_rows(height, width, factor)
    small = (resize(rows(start, stop), -(-(stop - start) // factor), -(-width // factor)) for start, stop in strips)
    return np.concatenate(list(small))


def _is_url(path: str) -> bool:
    return "://" in path


def _finite(number: str) -> float:
    if not math.isfinite(value := float(number)):
        raise ValueError(f"{number} is no number")
    return value


def _read_mask(path: Path) -> UInt8[np.ndarray, "height width"]:
    try:
        stored = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    except cv2.error:  # over 2^30 pixels
        stored = None
    if stored is None:
        raise InputError(f"{path}: is damaged or too large for a page; predict again, or leave it out of predict.json")
    return (shrink(lambda start, stop: stored[start:stop], *stored.shape) > 127).view(np.uint8)


def _read_probability(path: Path) -> tuple[Float32[np.ndarray, "height width"], float]:
    """Read a probability stored as integers, and its uncertainty at full size."""
    with open_image(path, 0) as opened:

        def rows(start: int, stop: int) -> Float32[np.ndarray, "rows width"]:
            stored = opened.stored(start, stop)[..., 0]
            return stored / np.float32(np.iinfo(stored.dtype).max)

        strips = cut_rows(opened.height, opened.width)
        parts = [uncertainty(rows(start, stop)) * (stop - start) for start, stop in strips]
        return shrink(rows, opened.height, opened.width), sum(parts) / opened.height
