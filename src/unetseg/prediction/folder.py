"""Predict files: images are read, predicted and written at the same time."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
from jaxtyping import Float32, UInt8

from unetseg.errors import InputError, ModelError
from unetseg.images.inputs import Input, open_source
from unetseg.images.resampling import fit, resize
from unetseg.model.file import load_model
from unetseg.parallel import in_parallel
from unetseg.prediction.plan import Plan, Readable, in_memory
from unetseg.prediction.predictor import BATCH, SEVERAL, Predictor
from unetseg.prediction.results import Known, Results, told, write_strips
from unetseg.prediction.settings import Settings, Tuning
from unetseg.prediction.zoom import Zooming, fitted_zoom

SMALL = 2**22  # pixels; a larger image is written while it is predicted, strip by strip

Failure = str
Outcome = Failure | Input | None


@dataclass(frozen=True)
class _Read:
    """An image in memory: what is known of it but for the zoom, and what is predicted."""

    known: Known
    pixels: UInt8[np.ndarray, "_ _ 3"]
    fitted: bool


_Predicted = tuple[Known, Iterable[Float32[np.ndarray, "_ _"]]]


@dataclass(frozen=True)
class FilePredictor:
    """A model, and the rule for the zoom at which it sees each image."""

    predictor: Predictor
    zooming: Zooming

    def predict(self, sources: Sequence[Input], results: Results, *, keep: int | None = None) -> Iterator[Outcome]:
        """Predict files and write their results, as the outcomes are asked for.

        With `keep`, an image of more pixels that would be predicted in tiles is given back, for others to predict.

        Returns:
            For each image None, or what is wrong with it; one that cannot be read does not keep the others from being
            done.
        """
        read = in_parallel(partial(self._read, results, keep), sources)
        predicted = SEVERAL(self._hold, self._predict(results, keep, read))
        return in_parallel(partial(_write, results), predicted)

    def plan(self, source: Input, image: Readable) -> tuple[Known, Plan]:
        """Choose the zoom of an image that is predicted in tiles, and place them."""
        zoom = self.zooming.decide(self.predictor, image)
        known = Known(source, image.height, image.width, self.zooming.pixel(image.pixel), zoom)
        return known, self.predictor.plan(image, zoom)

    def _read(self, results: Results, keep: int | None, source: Input) -> _Read | Input | Failure:
        """Read an image, unless it is so large that it has to be read while it is predicted."""
        size = self.predictor.size
        try:
            results.begin(source)
            with open_source(source) as image:
                fits = self.zooming.fits(size, image.height, image.width, image.pixel)
                if not fits and image.height * image.width > min(SMALL, keep or SMALL):
                    return source
                pixels = image.rows(0, image.height)
                pixel, zoom = self.zooming.pixel(image.pixel), fitted_zoom(size, image.height, image.width)
                known = Known(source, image.height, image.width, pixel, zoom)
                return _Read(known, fit(pixels, size) if fits else pixels, fits)
        except InputError as error:
            return told(source, error)

    def _predict(
        self, results: Results, keep: int | None, images: Iterator[_Read | Input | Failure]
    ) -> Iterator[_Predicted | _Read | Outcome]:
        """Predict images that are fitted and large ones, one after the other; give back those to predict in tiles."""
        while batch := list(islice(images, BATCH)):
            fitted = self._fitted([each for each in batch if isinstance(each, _Read) and each.fitted])
            for each in batch:
                if isinstance(each, Input):
                    yield self._stream(results, keep, each)
                else:
                    yield next(fitted) if isinstance(each, _Read) and each.fitted else each

    def _fitted(self, images: Sequence[_Read]) -> Iterator[_Predicted | Failure]:
        """Predict images of the model's size at once; if the model cannot predict one of them, one by one."""
        try:
            predicted = list(self.predictor.fitted(image.pixels for image in images))
        except ModelError as error:
            if len(images) == 1:
                yield told(images[0].known.source, error)
            else:
                yield from (outcome for image in images for outcome in self._fitted([image]))
            return
        for image, probability in zip(images, predicted, strict=True):
            yield image.known, map(resize, [probability], [image.known.height], [image.known.width])

    def _hold(self, image: _Read | _Predicted | Outcome) -> _Predicted | Outcome:
        """Predict an image that is in memory, in tiles, if it is not predicted yet."""
        if not isinstance(image, _Read):
            return image
        seen = in_memory(image.pixels, image.known.pixel)
        try:
            zoom = self.zooming.decide(self.predictor, seen)
            return replace(image.known, zoom=zoom), list(self.predictor.strips(seen, zoom))
        except InputError as error:
            return told(image.known.source, error)

    def _stream(self, results: Results, keep: int | None, source: Input) -> Outcome:
        """Predict an image while it is read, and write it, or give it back."""
        try:
            with open_source(source) as image:
                if keep and image.height * image.width > keep:
                    return source
                known, plan = self.plan(source, image)
                scored = (self.predictor.score(image, plan, top) for top in plan.grid.down.starts)
                write_strips(results, known, plan, scored)
        except InputError as error:
            return told(source, error)
        return None


def open_predictor(model: Path, settings: Settings, tuning: Tuning) -> FilePredictor:
    """Load a model to predict files with.

    Raises:
        InputError: if it cannot be used; see `unetseg.model.file.load_model`.
    """
    return FilePredictor(Predictor(load_model(model), tta=settings.tta), Zooming(settings, tuning))


def _write(results: Results, predicted: _Predicted | Outcome) -> Outcome:
    """Write the results of an image that is not written yet."""
    if not isinstance(predicted, tuple):
        return predicted
    try:
        results.write(*predicted)
    except InputError as error:
        return str(error)
    return None
