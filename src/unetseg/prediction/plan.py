"""How an image is predicted in tiles: what every process that takes part has to know, and how the parts are joined."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from unetseg.images.opening import LARGE
from unetseg.images.resampling import resized_rows, resized_strips
from unetseg.images.tiling import Grid, Rows
from unetseg.parallel import ahead
from unetseg.prediction.results import Known, Results
from unetseg.progress import progress


@dataclass(frozen=True)
class Plan:
    """How an image is predicted in tiles.

    Attributes:
        height: of the image.
        width: of the image.
        grid: the tiles of what the model sees of it.
        scaling: the factor and the offset by which the model normalises its values.
    """

    height: int
    width: int
    grid: Grid
    scaling: tuple[float, float]

    def join(self, scored: Iterable[Float32[np.ndarray, "tile padded"]]) -> Iterator[Float32[np.ndarray, "_ width"]]:
        """Join the scored rows of tiles, given from the top, to strips of the image's own size."""
        strips = self.grid.join(scored)
        if (self.height, self.width) == (self.grid.height, self.grid.width):
            return strips
        return resized_strips(strips, self.grid.height, self.height, self.width)


def zoomed(rows: Rows, height: int, width: int, grid: Grid) -> Rows:
    """Give the rows of what the model sees of an image."""
    same = (height, width) == (grid.height, grid.width)
    return rows if same else resized_rows(rows, height, grid.height, grid.width)


def write_strips(
    results: Results, known: Known, plan: Plan, scored: Iterable[Float32[np.ndarray, "tile padded"]]
) -> None:
    """Write the results of an image while it is predicted.

    Args:
        results: where they go.
        known: the image.
        plan: how it is predicted.
        scored: see `Plan.join`.
    """
    strips = plan.join(scored)
    if known.height * known.width > LARGE:
        strips = progress(strips, known.source.image, len(plan.grid.down.starts), "strip")
    results.write(known, ahead(strips))
