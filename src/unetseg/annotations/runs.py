"""Run-length encoding, column by column, as COCO and the Data Science Bowl have it."""

import numpy as np
from jaxtyping import Bool, Int64


def find_runs(
    mask: Bool[np.ndarray, "height width"], row: int, column: int, image_height: int
) -> tuple[Int64[np.ndarray, " runs"], Int64[np.ndarray, " runs"]]:
    """Find the runs of an object's pixels in its image, going down the columns from the left.

    Args:
        mask: the object, cut out of its image.
        row: where the mask's first row is in the image.
        column: where the mask's first column is in the image.
        image_height: height of the whole image.

    Returns:
        The number of pixels before each run's first one, and the run's length.
    """
    columns, rows = np.nonzero(mask.T)
    places = (columns.astype(np.int64) + column) * image_height + rows + row
    first = np.diff(places, prepend=-2) != 1
    starts = places[first]
    return starts, np.diff(np.flatnonzero(first), append=len(places))


def bowl_text(starts: Int64[np.ndarray, " runs"], lengths: Int64[np.ndarray, " runs"]) -> str:
    """Write runs as the Data Science Bowl's submission has them: first pixel, counted from 1, and length, in turn."""
    return " ".join(map(str, np.stack([starts + 1, lengths], axis=1).ravel().tolist()))


def coco_counts(starts: Int64[np.ndarray, " runs"], lengths: Int64[np.ndarray, " runs"], pixels: int) -> list[int]:
    """Write runs as COCO's uncompressed counts: pixels outside and inside, in turn, `pixels` in all."""
    ends = starts + lengths
    outside = np.diff(starts, prepend=0) - np.append(0, lengths[:-1])
    return [*np.stack([outside, lengths], axis=1).ravel().tolist(), pixels - int(ends[-1])]
