"""Fingerprints of images: the pixels along the borders, and a thumbnail of the details."""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float, Float32, Shaped

LENGTH = 512  # values kept per border: enough to recognise it, and memory stays small with large images
SIZE = 24  # side of a thumbnail in pixels: unrelated images correlate up to 0.6, two slices of one embryo 0.94
DEGREE = 4  # of the polynomials that are subtracted: uneven illumination, which unrelated images share
FLAT = 0.01  # grey levels; a thumbnail that varies less is empty
SIDES = ("top", "bottom", "left", "right")

TRAITS = np.dtype(  # of one image, the sides in the order of SIDES; a border of fewer than LENGTH values ends in zeros
    [
        ("values", np.float32, (len(SIDES), LENGTH)),
        ("step", np.float64, len(SIDES)),
        ("pixels", np.int32, len(SIDES)),
        ("thumbnail", np.float32, (SIZE, SIZE)),
    ]
)

_BASIS = np.linalg.qr(np.polynomial.legendre.legvander(np.linspace(-1, 1, SIZE), DEGREE))[0]
_SURFACE = np.asarray(_BASIS @ _BASIS.T, np.float32)  # projection on polynomials of rows and columns


@dataclass(frozen=True)
class Border:
    """The outermost pixels along one side of an image, and how much the next line inside differs from them."""

    values: Float32[np.ndarray, " length"]
    step: float
    pixels: int


def traits(image: Shaped[np.ndarray, "height width channels"]) -> Shaped[np.ndarray, ""]:
    """Describe an image by its borders and its thumbnail, as one record of type `TRAITS`.

    Args:
        image: values as stored; floating point may count to 1 or to more.
    """
    if np.issubdtype(image.dtype, np.floating):
        image = image * np.float32(65535)  # in small steps, whether it counts to 1 or to more
    record = np.zeros((), TRAITS)
    for number, border in enumerate(borders(image).values()):
        record["values"][number, : len(border.values)] = border.values
        record["step"][number], record["pixels"][number] = border.step, border.pixels
    record["thumbnail"] = thumbnail(image)
    return record


def stored_borders(record: Shaped[np.ndarray, ""] | np.void) -> dict[str, Border]:
    """Return the borders in a record of type `TRAITS`."""
    found = zip(SIDES, record["values"], record["step"], record["pixels"], strict=True)
    return {
        side: Border(values[: -(-int(pixels) // _thinning(int(pixels)))], float(step), int(pixels))
        for side, values, step, pixels in found
    }


def borders(image: Shaped[np.ndarray, "height width channels"]) -> dict[str, Border]:
    """Describe the four borders of an image.

    The root of a count has the same noise whether dark or bright (Anscombe, Biometrika 35, 1948), so that a few bright
    pixels do not outweigh the rest of a border.

    Args:
        image: values as stored, 0 or more.

    Returns:
        The border of each side, by its name: top, bottom, left, right.
    """
    turned = image.swapaxes(0, 1)
    return dict(zip(SIDES, map(_border, (image[:2], image[::-1][:2], turned[:2], turned[::-1][:2])), strict=True))


def thumbnail(image: Shaped[np.ndarray, "height width channels"]) -> Float32[np.ndarray, "24 24"]:
    """Shrink an image to its details: grey, without uneven illumination, of unit norm."""
    grey = cv2.resize(_grey(image), (SIZE, SIZE), interpolation=cv2.INTER_AREA)
    detail = grey - _SURFACE @ grey @ _SURFACE
    return np.asarray(detail / max(float(np.linalg.norm(detail)), FLAT * SIZE), np.float32)


def root_mean_square(difference: Float32[np.ndarray, "*n length"]) -> Float[np.ndarray, "*n"]:
    """Measure the size of differences along their last axis."""
    return np.asarray(np.sqrt(np.mean(np.square(difference, dtype=np.float64), axis=-1)))


def _border(strip: Shaped[np.ndarray, "depth length channels"]) -> Border:
    stable = np.sqrt(np.maximum(_grey(strip), 0) + 3 / 8)
    thinned = stable[0, :: _thinning(stable.shape[1])]
    return Border(np.ascontiguousarray(thinned), float(root_mean_square(stable[0] - stable[-1])), stable.shape[1])


def _thinning(pixels: int) -> int:
    return -(-pixels // LENGTH)


def _grey(image: Shaped[np.ndarray, "height width channels"]) -> Float32[np.ndarray, "height width"]:
    """Average the channels, one after another: NumPy's mean over so short an axis takes ten times as long."""
    grey = image[..., 0].astype(np.float32)
    for channel in range(1, image.shape[2]):
        grey += image[..., channel]
    grey /= image.shape[2]
    return grey
