"""Losses and metrics, in Keras operations.

The truth is the mask, and in training with `train.border` a second channel: extra weight of each pixel.
"""

from typing import Any

from unetseg.model import keras

ops = keras.ops
Tensor = Any  # of the active backend

SMOOTH = 1.0  # pixels added to numerator and denominator, so that an empty prediction of an empty mask costs nothing


def soft_dice_loss(y_true: Tensor, y_pred: Tensor) -> Tensor:
    r"""Compute 1 - soft Dice of each image (Milletari, Navab and Ahmadi, "V-Net", 3DV 2016, equation in section 3).

    .. math:: 1 - (2 \sum p g + 1) / (\sum p^2 + \sum g^2 + 1)

    Args:
        y_true: 0 or 1, (B, H, W, 1); further channels are ignored.
        y_pred: probabilities, (B, H, W, 1).

    Returns:
        (B,), each in 0…1; 0 where both are empty.
    """
    axes, y_true = (1, 2, 3), y_true[..., :1]
    overlap = ops.sum(y_true * y_pred, axis=axes)
    total = ops.sum(ops.square(y_true), axis=axes) + ops.sum(ops.square(y_pred), axis=axes)
    return 1.0 - (2.0 * overlap + SMOOTH) / (total + SMOOTH)


def bce(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """Compute binary cross-entropy of each image, (B,); a second channel of `y_true` is extra weight of each pixel."""
    cross_entropy = keras.losses.binary_crossentropy(y_true[..., :1], y_pred)
    return ops.mean(cross_entropy * (1.0 + ops.sum(y_true[..., 1:], axis=-1)), axis=(1, 2))


def bce_dice(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """Compute binary cross-entropy, weighted as in `bce`, plus soft Dice loss of each image, (B,)."""
    return bce(y_true, y_pred) + soft_dice_loss(y_true, y_pred)


def dice(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """Compute the Dice coefficient of each image at threshold 0.5, (B,); empty against empty is 1."""
    axes, y_true = (1, 2, 3), y_true[..., :1]
    predicted = ops.cast(y_pred >= 0.5, y_true.dtype)
    overlap = ops.sum(y_true * predicted, axis=axes)
    total = ops.sum(y_true, axis=axes) + ops.sum(predicted, axis=axes)
    return ops.where(total > 0, 2.0 * overlap / ops.maximum(total, 1.0), 1.0)
