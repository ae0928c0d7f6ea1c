"""Write the report page: one HTML file that needs no network and no server; its pictures are data URIs."""

import base64
import contextlib
import hashlib
import html
import io
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from importlib import resources
from pathlib import Path
from string import Template
from typing import Any

import cv2
import numpy as np
from jaxtyping import Bool, Float32, UInt8
from PIL import Image

from unetseg.files import atomic_path
from unetseg.images.resampling import resize
from unetseg.report.entries import Entry, stretched

PAGE_BYTES = 12_000_000  # size limit of all pictures together; the fewer images, the larger they are shown
BYTES_A_PIXEL = 0.28  # of an image with its layers, encoded; measured on BBBC038
SIDES = (256, 1024)  # smallest and largest longer side of a picture, pixels

# red, green, blue, opacity; the colour-blind can tell these apart (Okabe & Ito 2008, "Color Universal Design")
FALSE_POSITIVE = (230, 159, 0, 210)
FALSE_NEGATIVE = (0, 114, 178, 210)
IN_DOUBT = (0, 229, 255, 235)  # told from tissue as well as from nuclei on a dark ground
PREDICTED_OUTLINE = (240, 228, 66, 255)
TRUE_OUTLINE = (255, 255, 255, 255)

DOUBT = 0.1  # probabilities from this to 1 minus this are uncertain
JPEG_QUALITY = 75

Mask = Bool[np.ndarray, "height width"]


def write_report(
    path: Path,
    entries: Iterable[Entry],
    *,
    total: int,
    title: str,
    subtitle: str,
    metrics: Mapping[str, Any],
    params: Mapping[str, Any],
    history: Sequence[Mapping[str, Any]],
) -> None:
    """Write the page; the same input gives the same bytes.

    Args:
        path: the HTML file to write.
        entries: the images, taken one at a time, so that memory does not grow with their number.
        total: how many there are; the more, the smaller their pictures.
        title: heading of the page.
        subtitle: a sentence below it.
        metrics: scores of the whole, nested as in evaluate.json; may be empty.
        params: the run's parameters, nested; may be empty.
        history: the epochs, as in history.csv; may be empty.
    """
    side = int(np.clip(math.sqrt(PAGE_BYTES / BYTES_A_PIXEL / max(total, 1)), *SIDES))
    before, after = _page(title, subtitle)
    with atomic_path(path) as beside, beside.open("w", encoding="utf-8", newline="\n") as file:
        file.write(before)
        run = {"metrics": metrics, "params": params, "history": [_plain(row) for row in history]}
        file.write(_json(run).removesuffix("}") + ',"entries":[\n')
        for index, entry in enumerate(entries):
            file.write((",\n" if index else "") + _json(_record(entry, side)))
        file.write("\n]}" + after)


def _record(entry: Entry, side: int) -> dict[str, Any]:
    height, width = entry.mask.shape
    height, width = (max(1, round(length * min(1, side / max(height, width)))) for length in (height, width))
    mask = shrink_mask(entry.mask, height, width)
    layers = {"prediction": mask_uri(mask)}
    if entry.truth is not None:
        truth = shrink_mask(entry.truth, height, width)
        layers |= {"errors": errors_uri(mask, truth), "truth": mask_uri(truth)}
    else:
        probability = None if entry.probability is None else resize(entry.probability, height, width)
        layers["outlines"] = outlines_uri(mask, probability)
    return {
        "id": entry.id,
        "height": height,
        "width": width,
        "scores": _plain(entry.scores),
        "image": image_uri(resize(entry.image, height, width)),
        "layers": layers,
        "doubt": entry.probability is not None,
    }


def _page(title: str, subtitle: str) -> tuple[str, str]:
    """Fill the template except for the data; return the text before and after the data.

    The page's policy lets only this very style and script run and only data URIs load, nothing that a file name
    smuggles in.
    """
    folder = resources.files("unetseg.report") / "templates"
    style = (folder / "report.css").read_text(encoding="utf-8")
    script = "".join((folder / name).read_text(encoding="utf-8") for name in ("charts.js", "report.js"))
    before, after = (folder / "report.html").read_text(encoding="utf-8").split("$data")
    values = {"title": html.escape(title), "subtitle": html.escape(subtitle), "style": style, "script": script}
    values |= {"style_hash": _csp_hash(style), "script_hash": _csp_hash(script)}
    return Template(before).substitute(values), Template(after).substitute(values)


def _csp_hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _json(content: Mapping[str, Any]) -> str:
    """Write JSON that cannot close the script element around it."""
    return json.dumps(content, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    """Convert numbers in a CSV row to numbers and empty fields to None; other text stays text."""
    return {name: _number(value) for name, value in row.items()}


def _number(value: Any) -> Any:
    """Convert text only if it is the usual form of a number: the groups 001, 1_2 and nan are names."""
    if isinstance(value, str):
        for kind in (int, float):
            with contextlib.suppress(ValueError):
                if str(number := kind(value)) == value and math.isfinite(number):
                    return number
        return value or None
    return None if isinstance(value, float) and not math.isfinite(value) else value


def image_uri(image: UInt8[np.ndarray, "height width 3"]) -> str:
    """Encode an image as JPEG, with its contrast stretched so that dark images become visible."""
    return _encode("jpeg", stretched(image)[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])


def mask_uri(mask: Mask) -> str:
    """Encode a mask, white on black, as PNG with one bit per pixel."""
    return _encode("png", mask.astype(np.uint8) * 255, [cv2.IMWRITE_PNG_BILEVEL, 1, cv2.IMWRITE_PNG_COMPRESSION, 9])


def errors_uri(mask: Mask, truth: Mask) -> str:
    """Paint the errors of a mask and the outline of the truth on a transparent picture."""
    return _painted((_outline(truth), TRUE_OUTLINE), (mask & ~truth, FALSE_POSITIVE), (truth & ~mask, FALSE_NEGATIVE))


def outlines_uri(mask: Mask, probability: Float32[np.ndarray, "height width"] | None) -> str:
    """Paint the outline of a mask and its uncertain pixels on a transparent picture."""
    doubt = np.zeros_like(mask) if probability is None else (probability > DOUBT) & (probability < 1 - DOUBT)
    return _painted((doubt, IN_DOUBT), (_outline(mask), PREDICTED_OUTLINE))


def shrink_mask(
    mask: UInt8[np.ndarray, "old_height old_width"], height: int, width: int
) -> Bool[np.ndarray, "{height} {width}"]:
    """Shrink a mask of 0 and 1: a pixel is foreground if at least half of its area is."""
    return np.asarray(resize(mask * np.uint8(255), height, width) >= 128)


def _outline(mask: Mask) -> Mask:
    inside = cv2.erode(mask.astype(np.uint8), np.ones((3, 3), np.uint8))
    return np.asarray(mask & (inside == 0))


def _painted(*areas: tuple[Mask, tuple[int, int, int, int]]) -> str:
    """Paint areas over each other, each given as a mask and its colour."""
    number = np.zeros(areas[0][0].shape, np.uint8)
    for index, (where, _) in enumerate(areas, 1):
        number[where] = index
    picture = Image.fromarray(number).convert("P")
    picture.putpalette([0, 0, 0, *(value for _, colour in areas for value in colour[:3])])
    encoded = io.BytesIO()  # by Pillow: a palette halves the size, and OpenCV writes none
    picture.save(encoded, "PNG", bits=2, transparency=bytes([0, *(colour[3] for _, colour in areas)]))
    return _uri("png", encoded.getvalue())


def _encode(kind: str, pixels: UInt8[np.ndarray, "height width *channels"], options: list[int]) -> str:
    _, encoded = cv2.imencode(f".{kind}", pixels, options)
    return _uri(kind, encoded.tobytes())


def _uri(kind: str, encoded: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(encoded).decode()}"
