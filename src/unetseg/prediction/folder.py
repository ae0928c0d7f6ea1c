"""Predict files: images are read, predicted and written at the same time."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from math import sqrt

import numpy as np
from jaxtyping import Float32, UInt8

from unetseg.errors import InputError
from unetseg.images.inputs import Input, open_source
from unetseg.images.resampling import fit, restore
from unetseg.parallel import in_parallel
from unetseg.prediction.plan import write_strips
from unetseg.prediction.predictor import BATCH, Predictor
from unetseg.prediction.results import Known, Results
from unetseg.prediction.zoom import Zooming

SMALL = 2**22  # pixels; a larger image is written while it is predicted, strip by strip

Failure = str
Outcome = Failure | Input | None


@dataclass(frozen=True)
class _Read:
    """An image in memory: what is known of it but for the zoom, and what is predicted."""

    known: Known
    pixels: UInt8[np.ndarray, "_ _ 3"]
    fitted: bool

    def rows(self, start: int, stop: int) -> UInt8[np.ndarray, "rows _ 3"]:
        """Give some rows."""
        return self.pixels[start:stop]


_Predicted = tuple[Known, Iterable[Float32[np.ndarray, "_ _"]]]


def predict_files(
    predictor: Predictor,
    sources: Sequence[Input],
    results: Results,
    zooming: Zooming,
    *,
    keep: int | None = None,
) -> Iterator[Outcome]:
    """Predict files and write their results, as the outcomes are asked for.

    Args:
        predictor: how.
        sources: the images.
        results: where they go.
        zooming: decides at which zoom each image is predicted.
        keep: pixels; a larger image that would be predicted in tiles is given back, for others to predict.

    Returns:
        For each image None, or what is wrong with it; one that cannot be read does not keep the others from being done.
    """
    run = _Run(predictor, results, zooming, keep)
    return in_parallel(run.write, run.predict(in_parallel(run.read, sources)))


@dataclass(frozen=True)
class _Run:
    """The steps of a run, of which the first and the last are done in threads."""

    predictor: Predictor
    results: Results
    zooming: Zooming
    keep: int | None

    def read(self, source: Input) -> _Read | Input | Failure:
        """Read an image, unless it is so large that it has to be read while it is predicted."""
        size = self.predictor.size
        try:
            self.results.begin(source)
            with open_source(source) as image:
                fits = self.zooming.fits(size, image.height, image.width, image.pixel)
                if not fits and image.height * image.width > min(SMALL, self.keep or SMALL):
                    return source
                pixels = image.rows(0, image.height)
                known = Known(source, image.height, image.width, image.pixel, size / sqrt(image.height * image.width))
                return _Read(known, fit(pixels, size) if fits else pixels, fits)
        except InputError as error:
            return str(error)

    def predict(self, images: Iterator[_Read | Input | Failure]) -> Iterator[_Predicted | Outcome]:
        """Predict what was read."""
        while batch := list(islice(images, BATCH)):
            fitted = self.predictor.fitted(each.pixels for each in batch if isinstance(each, _Read) and each.fitted)
            for each in batch:
                if isinstance(each, _Read) and each.fitted:
                    yield each.known, map(restore, [next(fitted)], [each.known.height], [each.known.width])
                else:
                    yield each if isinstance(each, Failure) else self._in_tiles(each)

    def write(self, predicted: _Predicted | Outcome) -> Outcome:
        """Write the results of an image that is not written yet."""
        if not isinstance(predicted, tuple):
            return predicted
        try:
            self.results.write(*predicted)
        except InputError as error:
            return str(error)
        return None

    def _in_tiles(self, image: _Read | Input) -> _Predicted | Outcome:
        try:
            return self._stream(image) if isinstance(image, Input) else self._hold(image)
        except InputError as error:
            return str(error)

    def _hold(self, image: _Read) -> _Predicted:
        """Predict an image that is in memory."""
        known = image.known
        zoom = self.zooming.decide(self.predictor, image.rows, known.height, known.width, known.pixel)
        return replace(known, zoom=zoom), list(self.predictor.strips(image.rows, known.height, known.width, zoom))

    def _stream(self, source: Input) -> Input | None:
        """Predict an image while it is read, and write it, or give it back."""
        with open_source(source) as image:
            if self.keep and image.height * image.width > self.keep:
                return source
            zoom = self.zooming.decide(self.predictor, image.rows, image.height, image.width, image.pixel)
            plan = self.predictor.plan(image.rows, image.height, image.width, zoom)
            scored = (self.predictor.score(image.rows, plan, top) for top in plan.grid.down.starts)
            write_strips(self.results, Known(source, image.height, image.width, image.pixel, zoom), plan, scored)
        return None
