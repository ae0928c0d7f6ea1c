"""Training: batches, augmentation, losses, averaged weights, resume."""

from unetseg import model as _model  # noqa: F401 - imports Keras in silence
