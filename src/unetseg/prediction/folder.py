"""Predict files: images are read, predicted and written at the same time."""

from collections.abc import Iterator, Sequence
from itertools import islice
from math import sqrt

import numpy as np
from jaxtyping import Float32, UInt8

from unetseg.errors import InputError
from unetseg.images.inputs import Input
from unetseg.images.opening import LARGE, open_image
from unetseg.images.resampling import fit, restore
from unetseg.parallel import in_parallel
from unetseg.prediction.predictor import BATCH, Predictor
from unetseg.prediction.prefetch import ahead
from unetseg.prediction.results import Known, Results
from unetseg.prediction.zoom import Zooming
from unetseg.progress import progress

Fitted = tuple[Known, UInt8[np.ndarray, "size size 3"]]
Predicted = tuple[Known, Float32[np.ndarray, "size size"]]
Failure = str


def predict_files(
    predictor: Predictor, sources: Sequence[Input], results: Results, zooming: Zooming
) -> Iterator[Failure | None]:
    """Predict files and write their results, as the outcomes are asked for.

    Args:
        predictor: how.
        sources: the images.
        results: where they go.
        zooming: decides at which zoom each image is predicted.

    Returns:
        For each image None, or what is wrong with it; one that cannot be read does not keep the others from being done.
    """

    def read(source: Input) -> Fitted | Input | Failure:
        """Read an image that is fitted to the model's size; leave others to be read while they are predicted."""
        try:
            results.begin(source)
            with open_image(source.path, source.plane, channel=source.channel, project=source.project) as image:
                if not zooming.fits(predictor.size, image.height, image.width, image.pixel):
                    return source
                zoom = predictor.size / sqrt(image.height * image.width)
                known = Known(source, image.height, image.width, image.pixel, zoom)
                return known, fit(image.rows(0, image.height), predictor.size)
        except InputError as error:
            return str(error)

    def write(predicted: Predicted | Failure | None) -> Failure | None:
        if not isinstance(predicted, tuple):
            return predicted
        known, probability = predicted
        return _write(results, known, [restore(probability, known.height, known.width)])

    def predict(images: Iterator[Fitted | Input | Failure]) -> Iterator[Predicted | Failure | None]:
        while batch := list(islice(images, BATCH)):
            probabilities = predictor.fitted([each[1] for each in batch if isinstance(each, tuple)])
            for each in batch:
                if isinstance(each, tuple):
                    yield each[0], next(probabilities)
                else:
                    yield _in_tiles(predictor, each, results, zooming) if isinstance(each, Input) else each

    return in_parallel(write, predict(in_parallel(read, sources)))


def _write(results: Results, known: Known, strips: list[Float32[np.ndarray, "height width"]]) -> Failure | None:
    try:
        results.write(known, strips)
    except InputError as error:
        return str(error)
    return None


def _in_tiles(predictor: Predictor, source: Input, results: Results, zooming: Zooming) -> Failure | None:
    try:
        results.begin(source)
        with open_image(source.path, source.plane, channel=source.channel, project=source.project) as image:
            zoom = zooming.decide(predictor, image.rows, image.height, image.width, image.pixel)
            strips = predictor.strips(image.rows, image.height, image.width, zoom)
            if image.height * image.width > LARGE:
                strips = progress(strips, source.image, predictor.count_strips(image.height, zoom), "strip")
            results.write(Known(source, image.height, image.width, image.pixel, zoom), ahead(strips))
    except InputError as error:
        return str(error)
    return None
