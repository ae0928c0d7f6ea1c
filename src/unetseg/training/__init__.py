"""Training: batches, augmentation, losses, averaged weights, resume."""

from unetseg.model import keras as _keras  # noqa: F401 - imports it in silence
