"""Fingerprints of images: the pixels along the borders, and a thumbnail of the details."""

import cv2
import numpy as np
from jaxtyping import Float, Float32, Shaped

LENGTH = 512  # values kept per border: enough to recognise it, and memory stays small with large images
SIZE = 24  # side of a thumbnail in pixels: unrelated images correlate up to 0.6, two slices of one embryo 0.94
DEGREE = 4  # of the polynomials that are subtracted: uneven illumination, which unrelated images share
FLAT = 0.01  # grey levels; a thumbnail that varies less is empty
SIDES = ("top", "bottom", "left", "right")

FINGERPRINT = np.dtype(  # of one image; the borders in the order of SIDES
    [
        ("values", np.float32, (len(SIDES), LENGTH)),  # the first `kept(pixels)` are the border, the rest is 0
        ("step", np.float64, len(SIDES)),  # how much the next line inside differs from the border
        ("pixels", np.int32, len(SIDES)),
        ("thumbnail", np.float32, (SIZE, SIZE)),
    ]
)

_BASIS = np.linalg.qr(np.polynomial.legendre.legvander(np.linspace(-1, 1, SIZE), DEGREE))[0]
_SURFACE = np.asarray(_BASIS @ _BASIS.T, np.float32)  # projection on polynomials of rows and columns


def fingerprint(image: Shaped[np.ndarray, "height width channels"]) -> Shaped[np.ndarray, ""]:
    """Describe an image by its four borders and its thumbnail, as one record of type `FINGERPRINT`.

    The root of a count has the same noise whether dark or bright (Anscombe, Biometrika 35, 1948), so that a few bright
    pixels do not outweigh the rest of a border.

    Args:
        image: values as stored, 0 or more; floating point may count to 1 or to more.
    """
    if np.issubdtype(image.dtype, np.floating):
        image = image * np.float32(65535)  # in small steps, whether it counts to 1 or to more
    turned = image.swapaxes(0, 1)
    record = np.zeros((), FINGERPRINT)
    for side, strip in enumerate((image[:2], image[::-1][:2], turned[:2], turned[::-1][:2])):
        stable = np.sqrt(np.maximum(_grey(strip), 0) + 3 / 8)
        pixels = stable.shape[1]
        record["values"][side, : kept(pixels)] = stable[0, :: _thinning(pixels)]
        record["step"][side], record["pixels"][side] = root_mean_square(stable[0] - stable[-1]), pixels
    record["thumbnail"] = thumbnail(image)
    return record


def kept(pixels: int) -> int:
    """Count the values that are kept of a border of so many pixels."""
    return -(-pixels // _thinning(pixels))


def thumbnail(image: Shaped[np.ndarray, "height width channels"]) -> Float32[np.ndarray, "24 24"]:
    """Shrink an image to its details: grey, without uneven illumination, of unit norm."""
    grey = cv2.resize(_grey(image), (SIZE, SIZE), interpolation=cv2.INTER_AREA)
    detail = grey - _SURFACE @ grey @ _SURFACE
    return np.asarray(detail / max(float(np.linalg.norm(detail)), FLAT * SIZE), np.float32)


def root_mean_square(difference: Float32[np.ndarray, "*n length"]) -> Float[np.ndarray, "*n"]:
    """Measure the size of differences along their last axis."""
    return np.asarray(np.sqrt(np.mean(np.square(difference, dtype=np.float64), axis=-1)))


def _thinning(pixels: int) -> int:
    return -(-pixels // LENGTH)


def _grey(image: Shaped[np.ndarray, "height width channels"]) -> Float32[np.ndarray, "height width"]:
    """Average the channels, one after another: NumPy's mean over so short an axis takes ten times as long."""
    grey = image[..., 0].astype(np.float32)
    for channel in range(1, image.shape[2]):
        grey += image[..., channel]
    grey /= image.shape[2]
    return grey
