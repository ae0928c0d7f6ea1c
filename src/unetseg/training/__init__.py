"""Training: batches, augmentation, losses, averaged weights, resume."""
