"""What training minimises and what it watches, in Keras operations."""

from typing import Any

import keras
from keras import ops

Tensor = Any  # of whichever backend runs

SMOOTH = 1.0  # pixels added above and below the line, so that nothing predicted where nothing is costs nothing


def soft_dice_loss(y_true: Tensor, y_pred: Tensor) -> Tensor:
    r"""Compute 1 - soft Dice of each image (Milletari, Navab and Ahmadi, "V-Net", 3DV 2016, equation in section 3).

    .. math:: 1 - (2 \sum p g + 1) / (\sum p^2 + \sum g^2 + 1)

    Args:
        y_true: 0 or 1, (B, H, W, 1).
        y_pred: probabilities, (B, H, W, 1).

    Returns:
        (B,), each in 0…1; 0 where both are empty.
    """
    axes = (1, 2, 3)
    overlap = ops.sum(y_true * y_pred, axis=axes)
    total = ops.sum(ops.square(y_true), axis=axes) + ops.sum(ops.square(y_pred), axis=axes)
    return 1.0 - (2.0 * overlap + SMOOTH) / (total + SMOOTH)


def bce_dice_loss(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """Compute binary cross-entropy plus soft Dice loss of each image, (B,)."""
    cross_entropy = ops.mean(keras.losses.binary_crossentropy(y_true, y_pred), axis=(1, 2))
    return cross_entropy + soft_dice_loss(y_true, y_pred)


def dice(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """Compute the Dice coefficient of each image at threshold 0.5, (B,); empty against empty is 1."""
    axes = (1, 2, 3)
    predicted = ops.cast(y_pred >= 0.5, y_true.dtype)
    overlap = ops.sum(y_true * predicted, axis=axes)
    total = ops.sum(y_true, axis=axes) + ops.sum(predicted, axis=axes)
    return ops.where(total > 0, 2.0 * overlap / ops.maximum(total, 1.0), 1.0)


LOSSES = {"bce": "binary_crossentropy", "bce_dice": bce_dice_loss}
