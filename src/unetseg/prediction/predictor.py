"""The only path from images to probabilities, for `evaluate`, `unetseg predict` and the Python API."""

import logging
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import islice
from threading import Lock

import numpy as np
from jaxtyping import Float32, UInt8

from unetseg.errors import InputError
from unetseg.images.tiling import Score
from unetseg.model import keras
from unetseg.parallel import in_parallel
from unetseg.prediction.plan import Plan, Readable, in_memory, zoomed
from unetseg.prediction.settings import Trained
from unetseg.prediction.tiles import TILE, TiledModel, forward

logging.getLogger("tensorflow").setLevel(logging.ERROR)  # it warns of tiles of several shapes

BATCH = 8
# how to predict several images: one leaves cores free now and then; on JAX Keras takes a model's weights out for a pass
SEVERAL = in_parallel if keras.backend.backend() == "tensorflow" else map
VIEWS = tuple((turns, mirrored) for turns in range(4) for mirrored in (False, True))


class Predictor:
    """A model, how images are brought to its size, and whether it averages over eight views.

    Attributes:
        size: height and width of the images that the model takes.
        scale: "resize" or "tiles": whether the model was trained on images of that size, or on tiles of images.
    """

    def __init__(
        self,
        model: keras.Model,
        scale: Trained = "resize",
        *,
        tta: bool = False,
        tile: int = TILE,
        overlap: int | None = None,
    ) -> None:
        """Check the model.

        Args:
            model: takes float32 (B, size, size, 3) in 0..255, gives probabilities (B, size, size, 1).
            scale: see above.
            tta: whether to average over the 8 flips and quarter turns: eight times the cost.
            tile: see `TiledModel`, also for `overlap`.
            overlap: see above.

        Raises:
            InputError: if it does not take RGB images of one size or does not give one probability per pixel, or if it
                has no parts to predict tiles with and `scale` is "tiles".
        """
        _, height, width, channels = taken = model.input_shape
        if height != width or channels != 3 or model.output_shape[1:] != (height, width, 1):
            rule = "it must take (None, size, size, 3) and give (None, size, size, 1)"
            raise InputError(f"the model takes {taken} and gives {model.output_shape}; {rule}")
        self.size, self.scale = int(height), scale
        self._model, self._views = model, VIEWS if tta else VIEWS[:1]
        self._make_tiled, self._making = cache(lambda: TiledModel(model, tile, overlap)), Lock()
        if scale == "tiles":
            _ = self._tiled  # refuses an unsuitable model before any image is read

    def fitted(self, images: Iterable[UInt8[np.ndarray, "size size 3"]]) -> Iterator[Float32[np.ndarray, "size size"]]:
        """Predict images of the model's size, always in batches of one shape, so that the model is compiled once."""
        pending = iter(images)
        batch = np.zeros((BATCH, self.size, self.size, 3), np.float32)
        while taken := list(islice(pending, BATCH)):
            batch[: len(taken)], batch[len(taken) :] = taken, taken[0]
            yield from self._average(self._model, batch)[: len(taken)]

    def strips(self, image: Readable, zoom: float = 1.0) -> Iterator[Float32[np.ndarray, "_ width"]]:
        """Predict an image in tiles, at a zoom, strip by strip from the top; it is read up to four times."""
        plan = self.plan(image, zoom)
        return plan.join(self.score(image, plan, top) for top in plan.grid.down.starts)

    def plan(self, image: Readable, zoom: float) -> Plan:
        """Place the tiles of an image, see `strips`, and find how the model normalises its values."""
        grid = self._tiled.lay(max(1, round(image.height * zoom)), max(1, round(image.width * zoom)))
        return Plan(image.height, image.width, grid, self._tiled.scaling(zoomed(image, grid)))

    def score(self, image: Readable, plan: Plan, top: int) -> Float32[np.ndarray, "tile padded"]:
        """Score the row of tiles of an image that starts at `top`; see `Plan.join`."""
        return plan.grid.score(zoomed(image, plan.grid).rows, self._scorer(plan.scaling), top)

    def scorer(self, image: Readable) -> Score:
        """Return the function that predicts tiles of an image, normalised by the whole image."""
        return self._scorer(self._tiled.scaling(image))

    def _scorer(self, scaling: tuple[float, float]) -> Score:
        scale, offset = scaling

        def score(
            tiles: UInt8[np.ndarray, "n tile_height tile_width 3"],
        ) -> Float32[np.ndarray, "n tile_height tile_width"]:
            seen = tiles * np.float32(scale) + np.float32(offset)
            return self._average(self._tiled.unet, seen)

        return score

    def image(self, image: UInt8[np.ndarray, "height width 3"]) -> Float32[np.ndarray, "height width"]:
        """Predict an image in memory at its own size, in tiles."""
        return np.concatenate(list(self.strips(in_memory(image))))

    @property
    def _tiled(self) -> TiledModel:
        with self._making:  # several threads may ask for it at once
            return self._make_tiled()

    def _average(
        self, model: keras.Model, images: Float32[np.ndarray, "n height width 3"]
    ) -> Float32[np.ndarray, "n height width"]:
        """Average over the views of the images; predictions of rotated views are rotated back."""
        predicted = sum(_predict_view(model, images, *view) for view in self._views)
        return np.asarray(predicted / np.float32(len(self._views)))


def _predict_view(
    model: keras.Model, images: Float32[np.ndarray, "n height width 3"], turns: int, mirrored: bool
) -> Float32[np.ndarray, "n height width"]:
    turned = np.rot90(images, turns, axes=(1, 2))
    probability = forward(model, np.ascontiguousarray(turned[:, :, ::-1] if mirrored else turned))
    return np.rot90(probability[:, :, ::-1] if mirrored else probability, -turns, axes=(1, 2))
