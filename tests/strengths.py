"""Strengths of augmentation that tests share."""

from unetseg.training.augment import Augmentation

NOTHING = Augmentation(
    flip=False, rotate90=False, scale=0.0, rotate=0.0, elastic=0.0, brightness=0.0, contrast=0.0, gamma=0.0,
    channel=0.0, stain=0.0, blur=0.0, noise=0.0, invert=0.0,
)  # fmt: skip
