"""How sure a model is of its prediction, from the prediction alone."""

import numpy as np
from jaxtyping import Float32


def uncertainty(probability: Float32[np.ndarray, "height width"]) -> float:
    """Compute the mean binary entropy of a probability map: 0 where every pixel is certain, 1 bit where none is.

    -(p log2 p + (1 - p) log2(1 - p)), Shannon 1948, "A mathematical theory of communication", section 6.
    """
    p = np.clip(probability, 1e-7, 1 - 1e-7)
    return float(np.mean(-(p * np.log2(p) + (1 - p) * np.log2(1 - p)), dtype=np.float64))
