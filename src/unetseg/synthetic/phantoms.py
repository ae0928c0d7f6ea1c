"""Paint synthetic microscope fields: fluorescent nuclei and stained tissue, with typical difficulties."""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float32, UInt8, UInt16

Plane = Float32[np.ndarray, "height width"]

# Optical densities (red, green, blue): two stains from Ruifrok and Johnston 2001, table 1, and a brown pigment.
HAEMATOXYLIN, EOSIN, PIGMENT = (0.65, 0.70, 0.29), (0.07, 0.99, 0.11), (0.35, 0.55, 0.75)


@dataclass(frozen=True)
class Field:
    """A field of view and the truth about it: `labels` is 0 or the number of the nucleus."""

    image: UInt8[np.ndarray, "height width 3"]
    labels: UInt16[np.ndarray, "height width"]


def paint_fluorescence(rng: np.random.Generator, height: int, width: int, nuclei: int) -> Field:
    """Paint bright nuclei on a dark background: some dim or blurred, with uneven light, haze and bright debris."""
    labels = scatter_nuclei(rng, height, width, nuclei, radius=(7.0, 14.0))
    brightness = (
        rng.uniform(16, 24) * rng.choice([1.0, 1.0, 1.0, 2.0, 4.5], size=nuclei) * rng.uniform(0.85, 1.15, nuclei)
    )
    signal = _stain(rng, labels, brightness.astype(np.float32), texture=0.16)
    haze = np.clip(_smooth_noise(rng, height, width, 40.0), 0, None) * 9
    debris = _specks(rng, height, width, count=height * width // 6000, radius=(1.0, 3.0)) * 120
    light = 0.85 + 0.7 * _ramp(rng, height, width)
    clean = (9 + haze + signal + debris) * light
    grain = _smooth_noise(rng, height, width, 0.6) * (0.4 + 0.018 * clean)
    return Field(cv2.merge([_to_bytes(clean + grain, 1)] * 3), labels)


def paint_tissue(rng: np.random.Generator, height: int, width: int, nuclei: int) -> Field:
    """Paint purple nuclei on pink fibrous tissue: gaps, red blood cells and pigment are not nuclei, though as dark."""
    labels = scatter_nuclei(rng, height, width, nuclei, radius=(7.0, 13.0))
    strength = rng.uniform(0.36, 0.9, size=nuclei).astype(np.float32)
    haematoxylin = 0.07 + _stain(rng, labels, strength, texture=0.12)
    gaps = cv2.GaussianBlur((_smooth_noise(rng, height, width, 16.0) > 1.4).astype(np.float32), (0, 0), 1.5)
    fibres = _fibres(rng, height, width) + 0.7 * _smooth_noise(rng, height, width, 7.0)
    beside = cv2.GaussianBlur((labels == 0).astype(np.float32), (0, 0), 1.0)
    eosin = (0.44 + 0.12 * fibres) * (1 - 0.9 * gaps * beside)
    eosin += 0.75 * _specks(rng, height, width, count=height * width // 5000, radius=(5.0, 8.0)) * beside
    pigment = 0.9 * _specks(rng, height, width, count=height * width // 9000, radius=(1.5, 4.5))
    light = 236 + 14 * _ramp(rng, height, width)
    density = [np.clip(eosin, 0.01, None), np.clip(haematoxylin, 0.01, None), pigment]
    absorbed = [sum(d * s[c] for d, s in zip(density, (EOSIN, HAEMATOXYLIN, PIGMENT), strict=True)) for c in range(3)]
    grain = _smooth_noise(rng, height, width, 0.6)
    return Field(cv2.merge([_to_bytes(light * np.exp(-a) + grain, 8) for a in absorbed]), labels)


PAINTERS: dict[str, Callable[[np.random.Generator, int, int, int], Field]] = {
    "fluorescence": paint_fluorescence,
    "tissue": paint_tissue,
}


def scatter_nuclei(
    rng: np.random.Generator, height: int, width: int, count: int, radius: tuple[float, float]
) -> UInt16[np.ndarray, "height width"]:
    """Scatter `count` nuclei; about 40 % touch another one, and none covers more than a seventh of another.

    The range of mean radii is in pixels. A nucleus without a place after twenty tries is left out.

    Returns:
        0, or the nucleus' number from 1 to `count`.
    """
    labels = np.zeros((height, width), np.uint16)
    placed: list[tuple[float, float, float]] = []
    for number in range(1, count + 1):
        size = rng.uniform(*radius)
        for _ in range(20):
            row, column = rng.uniform(0, height), rng.uniform(0, width)
            if placed and rng.random() < 0.4:
                near_row, near_column, near_size = placed[rng.integers(len(placed))]
                angle = rng.uniform(0, 2 * np.pi)
                row = near_row + np.sin(angle) * 0.95 * (size + near_size)
                column = near_column + np.cos(angle) * 0.95 * (size + near_size)
            shape = _blob(rng, labels.shape, (row, column), size)
            if np.count_nonzero(labels[shape]) < np.count_nonzero(shape) / 7:
                labels[shape & (labels == 0)] = number
                placed.append((row, column, size))
                break
    return labels


def _blob(
    rng: np.random.Generator, shape: tuple[int, ...], centre: tuple[float, float], size: float
) -> Bool[np.ndarray, "height width"]:
    """Draw a smooth closed outline about a centre: an ellipse with a few gentle dents."""
    angle = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    amplitudes = rng.uniform(0, (0.3, 0.07, 0.04))
    phases = rng.uniform(0, 2 * np.pi, size=3)
    reach = size * (
        1 + sum(a * np.cos(n * angle + p) for n, (a, p) in enumerate(zip(amplitudes, phases, strict=True), 2))
    )
    outline = np.stack([centre[1] + reach * np.cos(angle), centre[0] + reach * np.sin(angle)], axis=1)
    canvas = np.zeros(shape, np.uint8)
    cv2.fillPoly(canvas, [np.round(outline * 16).astype(np.int32)], 1, shift=4)
    return canvas.astype(bool)


def _stain(rng: np.random.Generator, labels: np.ndarray, strength: np.ndarray, texture: float) -> Plane:
    """Draw intensity and focus of each nucleus: most are sharp, some blurred by 1.4 or 2.4 pixels."""
    chromatin = np.clip(1 + texture * _smooth_noise(rng, *labels.shape, 2.2), 0.4, 1.6)
    focus = rng.choice(3, size=len(strength), p=(0.65, 0.2, 0.15))
    stained = np.zeros(labels.shape, np.float32)
    for level, sigma in enumerate((0.7, 1.4, 2.4)):
        by_label = np.concatenate([[0], np.where(focus == level, strength, 0)]).astype(np.float32)
        stained += cv2.GaussianBlur(by_label[labels] * chromatin, (0, 0), sigma)
    return stained


def _specks(rng: np.random.Generator, height: int, width: int, count: int, radius: tuple[float, float]) -> Plane:
    """Draw round specks of strength 0.6 to 1 with soft edges."""
    canvas = np.zeros((height, width), np.float32)
    for _ in range(count):
        centre = (int(rng.uniform(0, width) * 16), int(rng.uniform(0, height) * 16))
        cv2.circle(canvas, centre, int(rng.uniform(*radius) * 16), rng.uniform(0.6, 1), -1, shift=4)
    return cv2.GaussianBlur(canvas, (0, 0), 0.8)


def _fibres(rng: np.random.Generator, height: int, width: int) -> Plane:
    """Make streaks that run in one direction across the field, of deviation about 1."""
    side = int(np.hypot(height, width)) + 1
    turn = cv2.getRotationMatrix2D((side / 2, side / 2), rng.uniform(0, 180), 1)
    streaks = cv2.warpAffine(
        _smooth_noise(rng, side, side, 14.0, 1.6), turn, (side, side), borderMode=cv2.BORDER_REFLECT
    )
    return streaks[(side - height) // 2 :, (side - width) // 2 :][:height, :width]


def _ramp(rng: np.random.Generator, height: int, width: int) -> Plane:
    """Make a plane that rises from 0 to 1 across the field in some direction."""
    angle = rng.uniform(0, 2 * np.pi)
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    plane = rows * np.sin(angle) + columns * np.cos(angle)
    plane -= plane.min()
    return np.asarray(plane / plane.max(), np.float32)


def _smooth_noise(rng: np.random.Generator, height: int, width: int, *sigma: float) -> Plane:
    """Blur white noise (by one sigma, or by one along rows and one along columns) and scale it to deviation 1."""
    noise = rng.standard_normal((height, width), dtype=np.float32)
    blurred = cv2.GaussianBlur(noise, (0, 0), sigmaX=sigma[0], sigmaY=sigma[-1])
    return np.asarray(blurred / blurred.std(), np.float32)


def _to_bytes(plane: np.ndarray, step: int) -> UInt8[np.ndarray, "height width"]:
    """Round to whole steps: coarse ones keep a coloured PNG small."""
    return np.clip(np.round(plane / step) * step, 0, 255).astype(np.uint8)
