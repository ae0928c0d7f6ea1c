"""Label images to write and read back."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from unetseg.annotations.writing import ImageInfo
from unetseg.images.inputs import Input
from unetseg.objects.strips import number_objects

label_images = arrays(
    np.int32, array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=9), elements=st.integers(0, 3)
).map(lambda labels: np.unique(labels, return_inverse=True)[1].astype(np.int32).reshape(labels.shape))


def strip_of(labels):
    """Give the one strip of an image, with the objects of a label image without gaps."""
    (strip,) = number_objects([np.full(labels.shape, 0.75, np.float32)], len(labels), lambda _: labels, 0.5)
    return strip


def in_two_goes(writer, path, labels):
    """Write the objects of a label image as strips would bring them."""
    strip = strip_of(labels)
    about = ImageInfo(Input(Path("x/a.png"), "a.png", None, "a"), "../x/a.png", *labels.shape, 0.5, 1)
    with writer(path, about) as add:
        for some in (strip.objects[:1], strip.objects[1:]):
            add(replace(strip, objects=some))
    return path


def painted(annotations, shape):
    """Number the pixels of objects that do not overlap."""
    labels = np.zeros(shape, np.int32)
    for number, (row, column, mask) in enumerate(annotations.regions, 1):
        box = labels[row : row + mask.shape[0], column : column + mask.shape[1]]
        assert not box[mask].any()
        box[mask] = number
    return labels


def ring_and_dot():
    labels = np.zeros((12, 14), np.int32)
    labels[2:8, 3:9] = 1
    labels[4:6, 5:7] = 0
    labels[10, 12] = 2
    return labels
