"""Small pictures of an image, its masks and its errors, as data URIs."""

import base64
import io

import cv2
import numpy as np
from jaxtyping import Bool, Float32, UInt8
from PIL import Image

from unetseg.images.resampling import resize

# red, green, blue, opacity; the colour-blind can tell these apart (Okabe & Ito 2008, "Color Universal Design")
FALSE_POSITIVE = (230, 159, 0, 210)
FALSE_NEGATIVE = (0, 114, 178, 210)
IN_DOUBT = (0, 229, 255, 235)  # told from tissue as well as from nuclei on a dark ground
PREDICTED_OUTLINE = (240, 228, 66, 255)
TRUE_OUTLINE = (255, 255, 255, 255)

DOUBT = 0.1  # probabilities from this to 1 minus this are uncertain
JPEG_QUALITY = 75

Mask = Bool[np.ndarray, "height width"]


def image_uri(image: UInt8[np.ndarray, "height width 3"]) -> str:
    """Encode an image as JPEG, with its contrast stretched so that dark images become visible."""
    low, high = np.percentile(image, (0.1, 99.9))
    stretched = np.clip((image - low) * (255 / max(high - low, 1)), 0, 255).astype(np.uint8)
    return _encode("jpeg", stretched[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])


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
