"""Estimate the quality of a prediction from the prediction alone."""

from typing import Annotated, Literal

import numpy as np
import pydantic
from jaxtyping import Float32, Float64, Int64
from pydantic import Field

FINE = 0.8  # estimated Dice from which a mask counts as good
ODDS = 7 / 3  # 0.7 against 0.3
LEAST = 0.001  # of 1 - stability: no mask is surer

Probability = Annotated[float, Field(ge=0, le=1)]
Verdict = Literal["fine", "look", "unlike"]


def uncertainty(probability: Float32[np.ndarray, "height width"]) -> float:
    """Compute the mean binary entropy of a probability map: 0 if every pixel is certain, 1 bit if none is.

    -(p log2 p + (1 - p) log2(1 - p)), Shannon 1948, "A mathematical theory of communication", section 6.
    """
    p = np.clip(probability, 1e-7, 1 - 1e-7)
    return float(np.mean(-(p * np.log2(p) + (1 - p) * np.log2(1 - p)), dtype=np.float64))


def overlap(probability: Float32[np.ndarray, "height width"], threshold: float) -> Float64[np.ndarray, "3"]:
    """Sum the probability of the predicted foreground, that of all pixels, and the predicted foreground's pixels.

    The sums of an image's parts add up to those of the image.
    """
    inside = probability >= np.float32(threshold)
    within = probability.sum(where=inside, dtype=np.float64)
    return np.array([within, probability.sum(dtype=np.float64), np.count_nonzero(inside)], np.float64)


def expected_dice(overlap: Float64[np.ndarray, "3"]) -> float:
    """Compute 2 Σpm / (Σp + Σm), the Dice to expect if each probability p is true; m is the predicted mask.

    0 where nothing is predicted: a probability that is nowhere high tells nothing of what was missed. `overlap` is what
    the function of this name gives.
    """
    within, probable, positive = overlap.tolist()
    return 2 * within / (probable + positive) if positive else 0.0


def steadiness(probability: Float32[np.ndarray, "height width"], threshold: float) -> Int64[np.ndarray, "2"]:
    """Count the pixels of two masks: where the odds are `ODDS` times as high as at the threshold, and as low.

    At a threshold of 0.5 these are the pixels from 0.7 and from 0.3. The counts of an image's parts add up to its own.
    """
    odds = threshold / (1 - threshold)
    strict, loose = (np.float32(each / (1 + each)) for each in (odds * ODDS, odds / ODDS))
    return np.array([np.count_nonzero(probability >= strict), np.count_nonzero(probability >= loose)], np.int64)


def stability(steadiness: Int64[np.ndarray, "2"]) -> float:
    """Compute the Dice of these two masks, one inside the other: 1 if the border is where it is at any threshold.

    After the stability score of Kirillov et al. 2023, "Segment Anything", which is their IoU. 0 where both are empty:
    a probability that is nowhere high tells nothing of what was missed.
    """
    strict, loose = steadiness.tolist()
    return 2 * strict / (strict + loose) if loose else 0.0


class Estimate(pydantic.BaseModel):
    """The Dice to expect of an image whose prediction has this `stability`.

    Attributes:
        factor: what 1 - stability is multiplied by to give 1 - Dice; see `unetseg.evaluation.calibration.calibrate`.
        unlike: an image of a lower stability is unlike those that the model was evaluated on.
    """

    model_config = pydantic.ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False)

    factor: Annotated[float, Field(ge=1)] = 1.0
    unlike: Probability = 0.5

    def dice_of(self, stability: float) -> float:
        """Estimate the Dice of an image."""
        return max(0.0, 1 - self.factor * max(1 - stability, LEAST))

    def verdict(self, stability: float) -> Verdict:
        """Classify an image as fine, as to be checked, or as unlike those of the evaluation."""
        if self.dice_of(stability) >= FINE:
            return "fine"
        return "unlike" if stability < self.unlike else "look"
