"""Estimate the quality of a prediction from the prediction alone."""

from typing import Annotated, Literal

import numpy as np
import pydantic
from jaxtyping import Float32, Float64
from pydantic import Field

FINE = 0.8  # estimated Dice from which a mask counts as good

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


class Estimate(pydantic.BaseModel):
    """The map from expected Dice to the true Dice of validation images; by default the identity.

    Attributes:
        expected: rising values of `expected_dice`.
        dice: the Dice of each, never falling.
        unlike: an image of which the model expects less than this is unlike those that it was evaluated on.
    """

    model_config = pydantic.ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False)

    expected: tuple[Probability, ...] = Field(default=(0.0, 1.0), strict=False, min_length=2)
    dice: tuple[Probability, ...] = Field(default=(0.0, 1.0), strict=False)
    unlike: Probability = 0.5

    @pydantic.model_validator(mode="after")
    def _is_a_map(self) -> "Estimate":
        if len(self.expected) != len(self.dice) or list(self.expected) != sorted(self.expected):
            raise ValueError("expected has to rise, with a dice for each")
        return self

    def dice_of(self, expected: float) -> float:
        """Estimate the Dice of an image, by linear interpolation."""
        return float(np.interp(expected, self.expected, self.dice))

    def verdict(self, expected: float) -> Verdict:
        """Classify an image as fine, as to be checked, or as unlike those of the evaluation."""
        if self.dice_of(expected) >= FINE:
            return "fine"
        return "unlike" if expected < self.unlike else "look"
