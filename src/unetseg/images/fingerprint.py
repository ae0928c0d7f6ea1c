"""Fingerprints of images: the pixels along the borders, a thumbnail, and the details that it does not show."""

import cv2
import numpy as np
from jaxtyping import Float, Float32, Int8, Shaped

LENGTH = 512  # values kept per border: enough to recognise it, and memory stays small with large images
SIZE = 24  # side of a thumbnail in pixels: of unrelated images few correlate over 0.6, but with few objects some do
FINE = 96  # side of the details in pixels: where thumbnails are alike, those of unrelated images correlate up to 0.3
BLUR = 1.5  # of these pixels: what is coarser is left out of the details
STEPS = 16  # of the details to one standard deviation
DEGREE = 4  # of the polynomials that are subtracted: uneven illumination, which unrelated images share
FLAT = 0.01  # grey levels; a thumbnail that varies less is empty
SIDES = ("top", "bottom", "left", "right")

FINGERPRINT = np.dtype(  # of one image; the borders in the order of SIDES
    [
        ("values", np.float32, (len(SIDES), LENGTH)),  # the first `kept(pixels)` are the border, the rest is 0
        ("step", np.float64, len(SIDES)),  # how much the next line inside differs from the border
        ("pixels", np.int32, len(SIDES)),
        ("thumbnail", np.float32, (SIZE, SIZE)),
        ("details", np.int8, (FINE, FINE)),
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
    grey = _grey(image)
    record["thumbnail"], record["details"] = _thumbnail(grey), _details(grey)
    return record


def kept(pixels: int) -> int:
    """Count the values that are kept of a border of so many pixels."""
    return -(-pixels // _thinning(pixels))


def _thumbnail(grey: Float32[np.ndarray, "height width"]) -> Float32[np.ndarray, "24 24"]:
    """Shrink an image: without uneven illumination, of unit norm."""
    small = cv2.resize(grey, (SIZE, SIZE), interpolation=cv2.INTER_AREA)
    even = small - _SURFACE @ small @ _SURFACE
    return np.asarray(even / max(float(np.linalg.norm(even)), FLAT * SIZE), np.float32)


def _details(grey: Float32[np.ndarray, "height width"]) -> Int8[np.ndarray, "96 96"]:
    """Keep the textures, edges and noise, of the root of the values, in `STEPS` to a standard deviation."""
    fine = np.sqrt(cv2.resize(np.maximum(grey, 0), (FINE, FINE), interpolation=cv2.INTER_AREA))
    fine -= cv2.GaussianBlur(fine, (0, 0), BLUR)
    scaled = np.rint(fine * (STEPS / max(float(fine.std()), FLAT)))
    return np.asarray(np.clip(scaled, -127, 127), np.int8)


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
