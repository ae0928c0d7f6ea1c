"""ImageJ's ROIs, single or zipped, in and out."""

import logging
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int
from roifile import ROI_OPTIONS, ROI_SUBTYPE, ROI_TYPE, ImagejRoi

from unetseg.annotations.outlines import outline
from unetseg.annotations.regions import Annotations, Region, count_planes, fill, gather, refusing
from unetseg.annotations.writing import Add, ImageInfo
from unetseg.objects.strips import FoundObject, Strip

AREAS = {ROI_TYPE.POLYGON, ROI_TYPE.RECT, ROI_TYPE.OVAL, ROI_TYPE.FREEHAND, ROI_TYPE.TRACED}
OVERLAYS = {ROI_SUBTYPE.TEXT, ROI_SUBTYPE.IMAGE, ROI_SUBTYPE.ARROW}  # drawn on the image, and stored as a rectangle
MOVE, LINE, CLOSE = 0.0, 1.0, 4.0  # the segments of ImageJ's composite ROIs, as Java's PathIterator numbers them
TURN = 720  # corners of the polygon that stands for an ellipse
LARGEST = 2**28  # bytes of a single ROI; an outline takes some 8 a corner

logging.getLogger("roifile").setLevel(logging.CRITICAL)  # report a broken file once, with our message


@contextmanager
def write_roi(path: Path, _about: ImageInfo) -> Iterator[Add]:
    """Write a zip that ImageJ's and Fiji's ROI Manager opens, each object a ROI named by its label.

    Corners lie between pixels, where ImageJ's own wand puts them, so that ImageJ makes the same pixels of the ROI. An
    object with holes, or in parts that touch at a corner, is a composite ROI.
    """
    with zipfile.ZipFile(path, "w") as file:

        def add(strip: Strip) -> None:
            for found in strip.objects:
                member = zipfile.ZipInfo(f"{found.label:05}.roi")  # of 1980: the same objects give the same file
                member.compress_type = zipfile.ZIP_DEFLATED
                file.writestr(member, _roi(found).tobytes())

        yield add


def read_roi(path: Path, height: int, width: int) -> Annotations:
    """Read the areas of a .roi file or of a zip of them; lines, points, text and pictures are left out.

    Raises:
        InputError: naming the file, if it is damaged, or has a ROI with curves.
    """
    with refusing(f"{path}: is not a file of ImageJ's ROIs, or damaged"):
        rois = list(_rois(path))
        areas = [roi for roi in rois if _is_area(roi)]
        found = [_fill(roi, height, width) for roi in areas]
    others = {"ROIs that are no areas": len(rois) - len(areas), **count_planes(map(_place, areas))}
    return gather(found, "ROIs without a pixel in the image", others)


def _rois(path: Path) -> Iterator[ImagejRoi]:
    if path.suffix.lower() == ".roi":
        yield ImagejRoi.frombytes(path.read_bytes())
        return
    with zipfile.ZipFile(path) as file:
        for member in file.infolist():
            name = member.filename.rpartition("/")[2]
            if name.lower().endswith(".roi") and not name.startswith("._"):  # which a Mac adds to each file
                if member.file_size > LARGEST:
                    raise ValueError(f"{member.filename} has {member.file_size:,} bytes")
                yield ImagejRoi.frombytes(file.read(member))


def _place(roi: ImagejRoi) -> tuple[int | None, int | None, int | None]:
    """Tell the slice, channel and frame, from 1, that a ROI was drawn on; in a plain stack it has a position alone."""
    channel, frame = roi.c_position, roi.t_position
    depth = roi.z_position or (roi.position if not channel and not frame else 0)
    return depth or None, channel or None, frame or None


def _is_area(roi: ImagejRoi) -> bool:
    return roi.subtype not in OVERLAYS and (roi.multi_coordinates is not None or roi.roitype in AREAS)


def _fill(roi: ImagejRoi, height: int, width: int) -> Region | None:
    curves = f"ROI {roi.name} has curves; choose Edit > Selection > Interpolate in ImageJ"
    if roi.options & ROI_OPTIONS.SPLINE_FIT:  # a curve through the corners, which alone the file holds
        raise ValueError(curves)
    try:
        rings = [np.asarray(ring, np.float64).reshape(-1, 2) for ring in roi.coordinates(multi=True)]
    except NotImplementedError as error:
        raise ValueError(curves) from error
    if roi.roitype == ROI_TYPE.OVAL or (roi.roitype == ROI_TYPE.RECT and roi.rounded_rect_arc_size):
        rings = [_rounded(roi)] if roi.multi_coordinates is None else rings
    rings = [ring for ring in rings if len(ring) > 2]
    return fill(rings, height, width) if rings else None


def _rounded(roi: ImagejRoi) -> Float[np.ndarray, "_ 2"]:
    """Outline an oval or a rectangle with rounded corners: an ellipse, its quarters moved apart to the corners."""
    low, high = np.array([roi.left, roi.top], float), np.array([roi.right, roi.bottom], float)
    arc = high - low if roi.roitype == ROI_TYPE.OVAL else np.minimum(high - low, roi.rounded_rect_arc_size)
    turns = np.linspace(0, 2 * np.pi, TURN, endpoint=False) + np.pi / TURN
    around = np.stack([np.cos(turns), np.sin(turns)], axis=1)
    return np.asarray((low + high) / 2 + np.sign(around) * (high - low - arc) / 2 + around * arc / 2)


def _roi(found: FoundObject) -> ImagejRoi:
    rings = [ring for part in outline(found.mask, found.row, found.column) for ring in part]
    roi = ImagejRoi.frompoints(rings[0], name=str(found.label))
    roi.roitype = ROI_TYPE.TRACED
    if len(rings) == 1:
        return roi
    path = [number for ring in rings for number in _segments(ring)]
    height, width = found.mask.shape
    return ImagejRoi(
        roitype=ROI_TYPE.RECT,
        options=ROI_OPTIONS(0),
        name=str(found.label),
        top=found.row,
        left=found.column,
        bottom=found.row + height,
        right=found.column + width,
        shape_roi_size=len(path),
        multi_coordinates=np.array(path, np.float32),
    )


def _segments(ring: Int[np.ndarray, "_ 2"]) -> Iterator[float]:
    kind = MOVE
    for x, y in ring.tolist():
        yield from (kind, x, y)
        kind = LINE
    yield CLOSE
