"""Vary an image and its mask together: a pure function of the two and a random generator's state."""

import cv2
import numpy as np
from jaxtyping import Float32, UInt, UInt8
from skimage.color import hed_from_rgb, rgb_from_hed

from unetseg.config import AugmentSettings

BLUR_PIXELS = 1.0  # the largest deviation of the Gaussian blur
FLAT = 1.0  # a part of a smaller deviation is noise, which says nothing of how the whole image's deviation changes

Statistics = tuple[float, float]  # mean and deviation over all pixels and channels of an image


def augment(
    image: UInt8[np.ndarray, "height width 3"],
    mask: UInt[np.ndarray, "height width"],
    statistics: Statistics,
    settings: AugmentSettings,
    rng: np.random.Generator,
) -> tuple[Float32[np.ndarray, "height width 3"], UInt[np.ndarray, "height width"], Statistics]:
    """Draw one variation of an image or of a part of one, and its mask.

    Recolouring is taken for the straight line that gives the part the mean and deviation that it has afterwards; so a
    part that is the whole image, and is not deformed, gets its own mean and deviation.

    Args:
        image: RGB, 0…255; the part.
        mask: 0 or 1, or 0 and the objects' numbers.
        statistics: mean and deviation of the whole image.
        settings: how far to go; the section `augment` of params.yaml.
        rng: where chance comes from; the same state gives the same variation.

    Returns:
        The image in 0…255 and its mask, of the shapes given, and what the whole's mean and deviation become with it.
    """
    image, mask = _turn(image, mask, settings, rng)
    image, mask = _warp(image, mask, settings, rng)
    before = image.astype(np.float32)
    after = _recolour(before, settings, rng)
    mean, deviation = statistics
    slope = 1.0
    if before.std() >= FLAT:
        turned_over = np.vdot(before - before.mean(), after - after.mean()) < 0
        slope = float(after.std() / before.std()) * (-1 if turned_over else 1)
    return after, mask, (float(after.mean()) + slope * (mean - float(before.mean())), abs(slope) * deviation)


def _turn(
    image: np.ndarray, mask: np.ndarray, settings: AugmentSettings, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Flip and turn by quarter turns, which moves pixels but changes none."""
    mirror, turns = rng.random() < 0.5, int(rng.integers(4))
    if settings.flip and mirror:
        image, mask = image[:, ::-1], mask[:, ::-1]
    if settings.rotate90:
        if image.shape[0] != image.shape[1]:
            turns -= turns % 2
        image, mask = np.rot90(image, turns), np.rot90(mask, turns)
    return np.ascontiguousarray(image), np.ascontiguousarray(mask)


def _warp(
    image: np.ndarray, mask: np.ndarray, settings: AugmentSettings, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Zoom, rotate and deform in one resampling, which blurs once; what comes in from outside is mirrored."""
    zoom = np.exp(rng.uniform(-1, 1) * np.log1p(settings.scale))
    angle = rng.uniform(-settings.rotate, settings.rotate)
    height, width = mask.shape
    if settings.elastic:
        rows, columns = _deformation(height, width, settings.elastic, rng)
    elif settings.scale or settings.rotate:
        rows, columns = np.mgrid[:height, :width].astype(np.float32)
    else:
        return image, mask
    turn = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), angle, 1 / zoom).astype(np.float32)
    x = turn[0, 0] * columns + turn[0, 1] * rows + turn[0, 2]
    y = turn[1, 0] * columns + turn[1, 1] * rows + turn[1, 2]
    border = cv2.BORDER_REFLECT_101
    return (
        cv2.remap(image, x, y, cv2.INTER_LINEAR, borderMode=border),
        cv2.remap(mask, x, y, cv2.INTER_NEAREST, borderMode=border),
    )


def _deformation(
    height: int, width: int, pixels: float, rng: np.random.Generator
) -> tuple[Float32[np.ndarray, "height width"], Float32[np.ndarray, "height width"]]:
    """Move each pixel by a smooth random field: a coarse grid of offsets, interpolated (U-Net paper, section 3.1)."""
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    offsets = rng.normal(0, pixels, (2, 4, 4)).astype(np.float32)
    down, right = (cv2.resize(offset, (width, height), interpolation=cv2.INTER_CUBIC) for offset in offsets)
    return rows + down, columns + right


def _restain(
    image: Float32[np.ndarray, "height width 3"], share: float, rng: np.random.Generator
) -> Float32[np.ndarray, "height width 3"]:
    """Vary the amounts of haematoxylin, eosin and DAB in a coloured image, each by up to a share of itself.

    Ruifrok and Johnston, "Quantification of histochemical staining by color deconvolution", 2001.
    """
    density = np.log(np.maximum(image / np.float32(255), np.float32(1e-6))) @ hed_from_rgb.astype(np.float32)
    density *= (1 + rng.uniform(-share, share, 3)).astype(np.float32)
    return np.asarray(255 * np.clip(np.exp(density @ rgb_from_hed.astype(np.float32)), 0, 1), np.float32)


def _recolour(
    image: Float32[np.ndarray, "height width 3"], settings: AugmentSettings, rng: np.random.Generator
) -> Float32[np.ndarray, "height width 3"]:
    """Change values relative to the image's own range, so that dark images vary as much as bright ones."""
    if settings.stain and np.ptp(image, axis=-1).any():
        image = _restain(image, settings.stain, rng)
    low, high = float(image.min()), float(image.max())
    span = max(high - low, 1.0)
    image = (image - low) / span
    gamma = np.exp(rng.uniform(-1, 1) * np.log1p(settings.gamma))
    channels = 1 + rng.uniform(-settings.channel, settings.channel, 3).astype(np.float32)
    contrast = 1 + rng.uniform(-settings.contrast, settings.contrast)
    brightness = rng.uniform(-settings.brightness, settings.brightness)
    blurred, inverted = rng.random(2) < (settings.blur, settings.invert)
    deviation = rng.uniform(0, BLUR_PIXELS)
    if settings.gamma:
        image = cv2.pow(image, gamma)
    image = image * channels
    centre = image.mean()
    image = (image - centre) * np.float32(contrast) + np.float32(centre + brightness)
    if blurred and deviation > 0:
        image = cv2.GaussianBlur(image, (0, 0), deviation)
    if settings.noise:
        image += rng.standard_normal(image.shape, dtype=np.float32) * np.float32(settings.noise * rng.random())
    image = np.clip(image * np.float32(span) + np.float32(low), 0, 255)
    return np.asarray(255 - image if inverted else image, np.float32)
