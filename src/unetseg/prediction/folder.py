"""Predict files: images are read, predicted and written at the same time."""

from collections.abc import Iterator, Sequence
from itertools import islice

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
from unetseg.progress import progress

Fitted = tuple[Known, UInt8[np.ndarray, "size size 3"]]
Predicted = tuple[Known, Float32[np.ndarray, "size size"]]
Failure = str


def predict_files(predictor: Predictor, sources: Sequence[Input], results: Results) -> Iterator[Failure | None]:
    """Predict files and write their results, as the outcomes are asked for.

    Args:
        predictor: how.
        sources: the images.
        results: where they go.

    Returns:
        For each image None, or what is wrong with it; one that cannot be read does not keep the others from being done.
    """
    return (
        _in_tiles(predictor, sources, results) if predictor.scale == "tiles" else _resized(predictor, sources, results)
    )


def _resized(predictor: Predictor, sources: Sequence[Input], results: Results) -> Iterator[Failure | None]:
    def read(source: Input) -> Fitted | Failure:
        try:
            with open_image(source.path, source.plane, channel=source.channel, project=source.project) as image:
                known = Known(source, image.height, image.width, image.pixel)
                return known, fit(image.rows(0, image.height), predictor.size)
        except InputError as error:
            return str(error)

    def write(predicted: Predicted | Failure) -> Failure | None:
        if isinstance(predicted, str):
            return predicted
        known, probability = predicted
        results.write(known, [restore(probability, known.height, known.width)], predictor.size)
        return None

    return in_parallel(write, _predict(predictor, in_parallel(read, sources)))


def _predict(predictor: Predictor, images: Iterator[Fitted | Failure]) -> Iterator[Predicted | Failure]:
    while batch := list(islice(images, BATCH)):
        probabilities = predictor.fitted([each[1] for each in batch if not isinstance(each, str)])
        for each in batch:
            yield each if isinstance(each, str) else (each[0], next(probabilities))


def _in_tiles(predictor: Predictor, sources: Sequence[Input], results: Results) -> Iterator[Failure | None]:
    def predict(source: Input) -> Failure | None:
        try:
            with open_image(source.path, source.plane, channel=source.channel, project=source.project) as image:
                strips = predictor.strips(image.rows, image.height, image.width)
                if image.height * image.width > LARGE:
                    strips = progress(strips, source.image, predictor.count_strips(image.height), "strip")
                results.write(Known(source, image.height, image.width, image.pixel), ahead(strips), predictor.size)
        except InputError as error:
            return str(error)
        return None

    return map(predict, sources)
