"""A model of a few weights that finds bright spots, and an image with two."""

import numpy as np

from unetseg.model import keras

SIZE = 32


def tiny_model(size=SIZE):
    """Say foreground where the mean of 3x3 pixels is over half of the range; made of the parts of the real model."""
    raw = keras.Input((size, size, 3))
    normalise = keras.Model(raw, keras.ops.divide(raw, 255.0), name="normalise")
    inputs = keras.Input((size, size, 3))
    blur = keras.layers.Conv2D(1, 3, padding="same", activation="sigmoid")
    unet = keras.Model(inputs, blur(inputs), name="unet")
    blur.set_weights([np.full((3, 3, 3, 1), 8 / 27, np.float32), np.array([-4], np.float32)])
    image = keras.Input((size, size, 3))
    return keras.Model(image, unet(normalise(image)))


MODEL = tiny_model()


def spots(height, width):
    image = np.full((height, width, 3), 20, np.uint8)
    image[5:20, 4:18] = image[8:30, 30:40] = 240
    return image
