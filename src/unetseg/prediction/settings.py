"""How images are predicted, and what of a probability becomes an object."""

from dataclasses import dataclass
from functools import partial
from math import sqrt
from typing import Literal

from unetseg.objects.separation import connected_objects, separated_objects
from unetseg.objects.strips import Number

Scale = Literal["resize", "tiles"]
Objects = Literal["separated", "connected", "none"]


@dataclass(frozen=True)
class Settings:
    """How to predict.

    Attributes:
        scale: "resize" fits an image to the model's size, as the model was trained; "tiles" predicts at the image's
            own size, in tiles.
        threshold: probability from which a pixel is foreground.
        depth: how deep a waist parts two objects, in pixels of what the model sees; see `separated_objects`.
        min_size: smaller objects, in pixels of what the model sees, are left out.
        objects: "separated" parts those that touch; "connected" does not and takes a tenth of the time; "none": masks
            are all that is wanted.
        tta: whether to average over the 8 flips and quarter turns.
    """

    scale: Scale = "resize"
    threshold: float = 0.5
    depth: float = 1.0
    min_size: int = 8
    objects: Objects = "separated"
    tta: bool = False

    def smallest(self, height: int, width: int, size: int) -> int:
        """Give the pixels of an image's smallest object; `size` is the model's."""
        return max(1, round(self.min_size * self._zoom(height, width, size) ** 2))

    def number(self, height: int, width: int, size: int) -> Number:
        """Give the function that numbers an image's objects, with lengths in pixels of the image."""
        depth, smallest = self.depth * self._zoom(height, width, size), self.smallest(height, width, size)
        if self.objects == "connected":
            return partial(connected_objects, threshold=self.threshold, min_size=smallest)
        return partial(separated_objects, threshold=self.threshold, depth=depth, min_size=smallest)

    def _zoom(self, height: int, width: int, size: int) -> float:
        return sqrt(height * width) / size if self.scale == "resize" else 1.0
