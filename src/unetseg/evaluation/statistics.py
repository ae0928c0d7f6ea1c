"""Confidence intervals of a mean over images of several fields or patients."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

MOST_DRAWN = 2**20  # groups in memory at a time


def bootstrap_interval(
    values: Float[np.ndarray, " images"], groups: Sequence[str], resamples: int, seed: int
) -> tuple[float, float] | None:
    """Find the 95 % percentile interval of the mean over images, by resampling whole groups with replacement.

    Images of one field or patient resemble each other: resampling them one by one would give an interval that is too
    narrow (the cluster bootstrap: Davison & Hinkley 1997, "Bootstrap methods and their application", section 3.8).

    Returns:
        The 2.5 and 97.5 % quantiles of the mean over the images of the drawn groups; None for fewer than two groups,
        of which nothing can be said.
    """
    names, group = np.unique(np.asarray(groups), return_inverse=True)
    if len(names) < 2:
        return None
    sums, sizes = np.bincount(group, weights=values), np.bincount(group)
    random, together = np.random.default_rng(seed), max(1, MOST_DRAWN // len(names))
    means = []
    for start in range(0, resamples, together):  # gives the numbers that one large draw would give
        rows = min(together, resamples - start)
        drawn = random.integers(len(names), size=(rows, len(names)), dtype=np.int32)
        means.append(sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1))
    low, high = np.quantile(np.concatenate(means), (0.025, 0.975))
    return float(low), float(high)
