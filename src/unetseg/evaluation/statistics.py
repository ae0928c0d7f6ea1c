"""Confidence intervals of a mean over images of several fields or patients."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float


def bootstrap_interval(
    values: Float[np.ndarray, " images"], groups: Sequence[str], resamples: int, seed: int
) -> tuple[float, float] | None:
    """Find the 95 % percentile interval of the mean over images, by resampling whole groups with replacement.

    Images of one field or patient resemble each other: resampling them one by one would give an interval that is too
    narrow (the cluster bootstrap: Davison & Hinkley 1997, "Bootstrap methods and their application", section 3.8).

    Args:
        values: a score an image.
        groups: the group of each image.
        resamples: how often to draw.
        seed: of the draws.

    Returns:
        The 2.5 and 97.5 % quantiles of the mean over the images of the drawn groups; None for fewer than two groups,
        of which nothing can be said.
    """
    names, group = np.unique(np.asarray(groups), return_inverse=True)
    if len(names) < 2:
        return None
    sums, sizes = np.bincount(group, weights=values), np.bincount(group)
    drawn = np.random.default_rng(seed).integers(len(names), size=(resamples, len(names)), dtype=np.int32)
    means = sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1)
    low, high = np.quantile(means, (0.025, 0.975))
    return float(low), float(high)
