"""Settings of a prediction, from zoom to the separation of objects."""

from dataclasses import dataclass
from functools import partial
from typing import Literal

from unetseg.objects.separation import connected_objects, separated_objects
from unetseg.objects.strips import Number

Trained = Literal["resize", "tiles"]
Scale = Literal["auto", "resize", "tiles"]
Objects = Literal["separated", "connected", "none"]


@dataclass(frozen=True)
class Settings:
    """How to predict.

    Attributes:
        scale: "resize" fits an image to the model's size; "tiles" predicts it at its own size, in tiles; "auto" as
            `unetseg.prediction.zoom.Zooming` decides.
        threshold: probability from which a pixel is foreground.
        depth: minimum depth of the neck at which touching objects are split, in pixels that the model sees.
        min_size: smaller objects, in pixels that the model sees, are left out.
        objects: "separated" splits touching objects; "connected" does not and takes a tenth of the time; "none": only
            masks.
        tta: whether to average over the 8 flips and quarter turns.
        zoom: pixels that the model sees for each of an image, in tiles; None: as `scale` says.
        pixel_size: of the images in µm, whatever their files say.
    """

    scale: Scale = "auto"
    threshold: float = 0.5
    depth: float = 1.0
    min_size: int = 8
    objects: Objects = "separated"
    tta: bool = False
    zoom: float | None = None
    pixel_size: float | None = None

    def smallest(self, zoom: float) -> int:
        """Return the smallest object size, in pixels of the image, at this zoom."""
        return max(1, round(self.min_size / zoom**2))

    def number(self, zoom: float) -> Number:
        """Return the function that numbers objects, with lengths in pixels of the image."""
        if self.objects == "connected":
            return partial(connected_objects, threshold=self.threshold, min_size=self.smallest(zoom))
        return partial(
            separated_objects, threshold=self.threshold, depth=self.depth / zoom, min_size=self.smallest(zoom)
        )
