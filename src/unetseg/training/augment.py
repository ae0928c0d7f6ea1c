"""Augment an image and its mask together: a pure function of both and the state of a random generator."""

import cv2
import numpy as np
from jaxtyping import Float32, UInt, UInt8
from skimage.color import hed_from_rgb, rgb_from_hed

from unetseg.config import AugmentSettings

FLAT = 1.0  # a smaller deviation is noise, and tells nothing about the change of the whole image
LEVELS = (8, 64)  # number of grey levels of a reduced image
QUALITY = (30, 95)  # of JPEG
SHRINK = 4.0  # largest factor of the reduction

Image = Float32[np.ndarray, "height width 3"]
Statistics = tuple[float, float, float]  # an image's mean and deviation, and its polarity; see images.intensity


def augment(
    image: UInt8[np.ndarray, "height width 3"],
    mask: UInt[np.ndarray, "height width"],
    statistics: Statistics,
    settings: AugmentSettings,
    rng: np.random.Generator,
    size: int | None = None,
) -> tuple[Float32[np.ndarray, "out_height out_width 3"], UInt[np.ndarray, "out_height out_width"], Statistics]:
    """Draw one variation of an image, or a crop of one, and its mask.

    Recolouring is taken for the straight line that gives the part the mean and deviation that it has afterwards; so a
    part that is the whole image, and is not deformed, gets its own mean and deviation.

    Args:
        image: RGB, 0…255; the image or a crop.
        mask: 0 or 1, or 0 and the objects' numbers.
        statistics: of the whole image.
        settings: strengths; the section `augment` of params.yaml.
        rng: random generator; the same state gives the same variation.
        size: height and width of what is given, at a random place; None: those of the image.

    Returns:
        The image in 0…255 and its mask, and what the whole's statistics become with it.
    """
    image, mask = _turn(image, mask, settings, rng)
    image, mask = _warp(image, mask, settings, rng, size)
    before = image.astype(np.float32)
    mean, deviation, polarity = statistics
    after = _recolour(before, polarity, settings, rng)
    inverted = rng.random() < settings.invert
    if inverted:
        after, polarity = 255 - after, -polarity
    slope = float(after.std() / before.std()) if before.std() >= FLAT else 1.0
    mean = float(after.mean()) + (-slope if inverted else slope) * (mean - float(before.mean()))
    if settings.statistics:
        shift, stretch = rng.uniform(-1, 1, 2)
        mean += 0.5 * shift * settings.statistics * slope * deviation
        deviation *= float(np.exp(stretch * np.log1p(settings.statistics)))
    if rng.random() < settings.negative:
        mask, polarity = np.zeros_like(mask), -polarity
    return after, mask, (mean, slope * deviation, polarity)


def _turn(
    image: np.ndarray, mask: np.ndarray, settings: AugmentSettings, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Flip and rotate by quarter turns, without resampling."""
    mirror, turns = rng.random() < 0.5, int(rng.integers(4))
    if settings.flip and mirror:
        image, mask = image[:, ::-1], mask[:, ::-1]
    if settings.rotate90:
        if image.shape[0] != image.shape[1]:
            turns -= turns % 2
        image, mask = np.rot90(image, turns), np.rot90(mask, turns)
    return np.ascontiguousarray(image), np.ascontiguousarray(mask)


def _warp(
    image: np.ndarray, mask: np.ndarray, settings: AugmentSettings, rng: np.random.Generator, size: int | None
) -> tuple[np.ndarray, np.ndarray]:
    """Crop, zoom, rotate and deform in one resampling, to blur only once; pixels from outside are mirrored."""
    zoom = np.exp(rng.uniform(-1, 1) * np.log1p(settings.scale))
    angle = rng.uniform(-settings.rotate, settings.rotate)
    height, width = (size, size) if size else mask.shape
    top, left = (int(rng.integers(whole - part + 1)) for whole, part in zip(mask.shape, (height, width), strict=True))
    if not (settings.elastic or settings.scale or settings.rotate):
        part = np.s_[top : top + height, left : left + width]
        return image[part], mask[part]
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    if settings.elastic:  # a coarse grid of random offsets, interpolated (U-Net paper, section 3.1)
        offsets = rng.normal(0, settings.elastic, (2, 4, 4)).astype(np.float32)
        down, right = (cv2.resize(offset, (width, height), interpolation=cv2.INTER_CUBIC) for offset in offsets)
        rows, columns = rows + down, columns + right
    if zoom < 1:  # else details would alias, unlike in prediction, which reduces by area
        image = cv2.GaussianBlur(image, (0, 0), max(0.5 * np.sqrt(zoom**-2 - 1), 0.1))
    turn = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), angle, 1 / zoom).astype(np.float32)
    x = turn[0, 0] * columns + turn[0, 1] * rows + turn[0, 2] + np.float32(left)
    y = turn[1, 0] * columns + turn[1, 1] * rows + turn[1, 2] + np.float32(top)
    border = cv2.BORDER_REFLECT_101
    return (
        cv2.remap(image, x, y, cv2.INTER_LINEAR, borderMode=border),
        cv2.remap(mask, x, y, cv2.INTER_NEAREST, borderMode=border),
    )


def _restain(image: Image, share: float, rng: np.random.Generator) -> Image:
    """Vary the amounts of haematoxylin, eosin and DAB in a coloured image, each by up to a share of its value.

    Ruifrok and Johnston, "Quantification of histochemical staining by color deconvolution", 2001.
    """
    density = np.log(np.maximum(image / np.float32(255), np.float32(1e-6))) @ hed_from_rgb.astype(np.float32)
    density *= (1 + rng.uniform(-share, share, 3)).astype(np.float32)
    return np.asarray(255 * np.clip(np.exp(density @ rgb_from_hed.astype(np.float32)), 0, 1), np.float32)


def _coloured(image: Image) -> bool:
    return bool((image[..., 0] != image[..., 1]).any() or (image[..., 1] != image[..., 2]).any())


def _tint(image: Image, polarity: float, rng: np.random.Generator) -> Image:
    """Show a grey image in a colour on black, or on white where objects are dark; a coloured one in grey or others."""
    if not _coloured(image):
        colour = rng.random(3).astype(np.float32) ** 3
        colour /= colour.max()
        return image * colour if polarity > 0 else 255 - (255 - image) * colour
    if rng.random() < 0.5:
        return np.repeat((image @ rng.dirichlet((1, 1, 1)).astype(np.float32))[..., None], 3, -1)
    return image[..., rng.permutation(3)]


def _recolour(image: Image, polarity: float, settings: AugmentSettings, rng: np.random.Generator) -> Image:
    """Change values relative to the image's own range, so that dark images vary as much as bright ones."""
    if settings.stain and _coloured(image):
        image = _restain(image, settings.stain, rng)
    if rng.random() < settings.recolour:
        image = _tint(image, polarity, rng)
    low, high = float(image.min()), float(image.max())
    span = max(high - low, 1.0)
    image = (image - low) / span
    gamma = np.exp(rng.uniform(-1, 1) * np.log1p(settings.gamma))
    channels = 1 + rng.uniform(-settings.channel, settings.channel, 3).astype(np.float32)
    contrast = 1 + rng.uniform(-settings.contrast, settings.contrast)
    brightness = rng.uniform(-settings.brightness, settings.brightness)
    if settings.gamma:
        image = cv2.pow(image, gamma)
    image = image * channels
    centre = image.mean()
    image = (image - centre) * np.float32(contrast) + np.float32(centre + brightness)
    image = _degrade(image, settings, rng)
    image = np.clip(image * np.float32(span) + np.float32(low), 0, 255)
    if rng.random() < settings.jpeg:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(*QUALITY))]
        packed = cv2.imencode(".jpg", image.round().astype(np.uint8), quality)[1]
        image = np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR))
    return np.asarray(image, np.float32)


def _degrade(image: Image, settings: AugmentSettings, rng: np.random.Generator) -> Image:
    """Add shading, blur and noise to an image with a value range of about 1."""
    height, width = image.shape[:2]
    if settings.shading:
        field = cv2.resize(
            rng.standard_normal((3, 3), dtype=np.float32), (width, height), interpolation=cv2.INTER_CUBIC
        )
        image = image + (field * np.float32(settings.shading * rng.random()))[..., None]
    if rng.random() < settings.blur and (deviation := rng.uniform(0, settings.blur_pixels)) > 0:
        image = cv2.GaussianBlur(image, (0, 0), deviation)
    if rng.random() < settings.shrink:
        factor = SHRINK ** -rng.random()
        fewer = (max(1, round(width * factor)), max(1, round(height * factor)))
        image = cv2.resize(cv2.resize(image, fewer, interpolation=cv2.INTER_AREA), (width, height))
    if settings.noise:
        image = image + rng.standard_normal(image.shape, np.float32) * np.float32(settings.noise * rng.random())
    if rng.random() < settings.levels:
        levels = np.float32(rng.integers(*LEVELS))
        image = np.round(image * levels) / levels
    return np.asarray(image, np.float32)
