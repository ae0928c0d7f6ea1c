"""Training: batches, augmentation, losses, averaged weights, resume."""

from unetseg.model import keras as keras  # imports it in silence
