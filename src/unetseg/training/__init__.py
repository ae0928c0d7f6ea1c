"""Training: batches, augmentation, losses, averaged weights, resume.

Imported before Keras, it has TensorFlow take oneDNN's convolutions, on any processor. They need two thirds
of the time for a batch, but more for a single image, so that prediction leaves the choice to TensorFlow: it takes them
where the processor has AVX-512.
"""

import os

os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
