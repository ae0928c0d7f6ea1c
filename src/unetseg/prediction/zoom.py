"""Choose the zoom of an image: as in training, by the size of its pixels, or where the model is most certain."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import compress, islice
from math import inf, log2, sqrt
from operator import not_

import numpy as np
from jaxtyping import Float32, UInt8

from unetseg.errors import ModelError
from unetseg.images.resampling import fit, resize
from unetseg.prediction.plan import Readable, Seen
from unetseg.prediction.predictor import BATCH, SEVERAL, Predictor
from unetseg.prediction.quality import expected_dice, overlap
from unetseg.prediction.settings import LEAST, Settings, Tuning

ZOOMS = (0.25, 0.35, 0.5, 0.71, 1.0, 1.41, 2.0)
TILT = 0.02  # what the expected Dice gains on the true one with each doubling of the zoom; chosen on 54 images
ENLARGED = 16  # times; an object of the usual size would be a pixel or two in the image
LARGEST = 2**22  # pixels; of images with one that has more, one is predicted at a time, to bound memory


@dataclass(frozen=True)
class Zooming:
    """The rule for all images of a run: what was asked for, and what is known of the model."""

    settings: Settings
    tuning: Tuning

    def fits(self, size: int, height: int, width: int, pixel: tuple[float, float] | None) -> bool:
        """Tell whether an image is fitted to the model's size; for others `decide` finds a zoom. `pixel` is in µm."""
        if self.settings.zoom or self.settings.scale != "auto":
            return self.settings.scale == "resize"
        return not self._by_pixel(pixel) and self.tuning.scale == "resize" and self._is_usual(size, height, width)

    def decide(self, predictor: Predictor, image: Readable) -> float:
        """Choose the zoom of an image that is predicted in tiles: the factor by which it is enlarged."""
        if self.settings.zoom or self.settings.scale != "auto":
            return self.settings.zoom or 1.0
        if zoom := self._by_pixel(image.pixel):
            return zoom
        if self._is_usual(predictor.size, image.height, image.width):
            return 1.0
        return most_certain_zoom(predictor, image, self.settings.threshold, self.tuning.zoom, self.tuning.doubt)

    def _by_pixel(self, pixel: tuple[float, float] | None) -> float | None:
        """Compute the zoom at which the image's pixels are as large as those that the model was trained on.

        Raises:
            ModelError: if they are so large or small that what the file says must be wrong, such as a printer's value.
        """
        known = self.pixel(pixel)
        if not known or not self.tuning.pixel_size:
            return None
        size = sqrt(known[0] * known[1])
        if not LEAST <= (zoom := size / self.tuning.pixel_size) <= ENLARGED:
            told = f"its pixels are {size:.3g} µm, those of the model {self.tuning.pixel_size:g}: a zoom of {zoom:.3g}"
            rule = f"where 1/{1 / LEAST:g} to {ENLARGED:g} make sense"
            raise ModelError(f"{told}, {rule}; correct it in the file, or give predict --pixel-size or --zoom")
        return zoom

    def pixel(self, own: tuple[float, float] | None) -> tuple[float, float] | None:
        """Give the height and width of an image's pixels in µm: as was asked for, else as its file says."""
        size = self.settings.pixel_size
        return (size, size) if size else own

    def _is_usual(self, size: int, height: int, width: int) -> bool:
        """Tell whether the model was trained on images of this size."""
        least, greatest = self.tuning.sizes or (1, 4 * size)
        return least <= min(height, width) and max(height, width) <= greatest


def fitted_zoom(size: int, height: int, width: int) -> float:
    """Return the zoom of an image that is fitted to the model's size, the geometric mean over both axes."""
    return size / sqrt(height * width)


def most_certain_zoom(
    predictor: Predictor, image: Readable, threshold: float, usual: float, doubt: float = 0.0
) -> float:
    """Find the zoom with the highest expected Dice, on two crops of as many pixels that the model sees at each zoom.

    From the usual zoom, that of the images that the model was trained on, it walks down and up as long as the next zoom
    is better, which chose as well as trying all of them for half the cost. The cost is bounded, however large the image
    is. Where nothing is found at any zoom on the way, it is the usual one. `doubt` is what a zoom of half or
    twice the usual one has to gain in expected Dice, and so on.
    """
    score = predictor.scorer(image)

    def certainty(zoom: float) -> float:
        crops = np.stack(list(_crops(image, zoom, predictor.size)))
        found = expected_dice(np.sum([overlap(seen, threshold) for seen in score(crops)], axis=0))
        return found - TILT * log2(zoom) - doubt * abs(log2(zoom / usual)) if found else -inf

    found = {usual: certainty(usual)}
    for zooms in ([zoom for zoom in reversed(ZOOMS) if zoom < usual], [zoom for zoom in ZOOMS if zoom > usual]):
        last = usual
        for zoom in zooms:
            found[zoom] = certainty(zoom)
            if found[zoom] < found[last]:
                break
            last = zoom
    return max(found, key=found.__getitem__)


def _crops(image: Readable, zoom: float, size: int) -> Iterator[UInt8[np.ndarray, "size size 3"]]:
    """Cut one or two crops that are of the model's size once zoomed; an image that is smaller is mirrored."""
    side = max(1, round(size / zoom))
    tall, wide = min(side, image.height), min(side, image.width)
    for top, left in sorted({*zip(_places(image.height, tall), _places(image.width, wide), strict=True)}):
        part = image.rows(top, top + tall)[:, left : left + wide]
        seen = resize(part, max(1, round(tall * zoom)), max(1, round(wide * zoom)))[:size, :size]
        yield np.pad(seen, ((0, size - seen.shape[0]), (0, size - seen.shape[1]), (0, 0)), "symmetric")


def _places(length: int, side: int) -> tuple[int, int]:
    """Place two crops along an axis, at a quarter and three quarters of what is left over; or both in the middle."""
    spare = length - side
    return (spare // 4, 3 * spare // 4) if spare > side // 2 else (spare // 2, spare // 2)


def predict_zoomed(
    predictor: Predictor, zooming: Zooming, images: Iterable[Seen]
) -> Iterator[tuple[float, Float32[np.ndarray, "_ _"]]]:
    """Predict images at the zoom that is right for each; give that zoom and the probability at the image's own size."""

    def tiled(image: Seen) -> tuple[float, Float32[np.ndarray, "_ _"]]:
        zoom = zooming.decide(predictor, image)
        return zoom, np.concatenate(list(predictor.strips(image, zoom)))

    waiting = iter(images)
    while several := list(islice(waiting, BATCH)):
        fits = [zooming.fits(predictor.size, image.height, image.width, image.pixel) for image in several]
        fitting = compress(several, fits)
        fitted = predictor.fitted(fit(image.rows(0, image.height), predictor.size) for image in fitting)
        at_once = SEVERAL if max(image.height * image.width for image in several) <= LARGEST else map
        others = iter(at_once(tiled, compress(several, map(not_, fits))))
        for image, is_fitted in zip(several, fits, strict=True):
            if is_fitted:
                zoom = fitted_zoom(predictor.size, image.height, image.width)
                yield zoom, resize(next(fitted), image.height, image.width)
            else:
                yield next(others)
