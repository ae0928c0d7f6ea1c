"""The U-Net, with everything from pixel values to probabilities inside.

Ronneberger, Fischer and Brox, "U-Net: Convolutional Networks for Biomedical Image Segmentation", MICCAI 2015.
"""

import keras
from keras import layers, ops

from unetseg.config import ModelSettings

FLAT = 1.0  # the least deviation that is scaled up to one, in steps of 0…255: below it an image is noise


def build_unet(size: int, settings: ModelSettings) -> keras.Model:
    """Build a U-Net from raw images to foreground probabilities.

    The model holds two models by name, so that a tile can be normalised with the statistics of its whole image:
    "normalise" (raw values to network input) and "unet" (network input to probabilities).

    Args:
        size: height and width of images; divisible by ``stem_stride * 2**depth``.
        settings: the section `model` of params.yaml.

    Returns:
        A model of float32 (B, size, size, 3), RGB in 0…255, to float32 (B, size, size, 1).

    Raises:
        ValueError: if `size` is not divisible as said.
    """
    depth, stride = settings.depth, settings.stem_stride
    if size % (stride * 2**depth):
        raise ValueError(f"size {size} is not divisible by {stride} * 2**{depth}")
    filters = [min(settings.base_filters * 2**level, settings.max_filters) for level in range(depth + 1)]
    block = _Block(settings)

    inputs = keras.Input((size, size, 3), name="input")
    x = block.stem(inputs, filters[0], stride)
    skips = []
    for level in range(depth):
        x = block(x, filters[level], f"encoder{level}")
        skips.append(x)
        x = layers.MaxPooling2D(name=f"pool{level}")(x)
    x = block(x, filters[depth], "bottleneck")
    for level in reversed(range(depth)):
        x = layers.Conv2DTranspose(filters[level], 2, 2, kernel_initializer="he_normal", name=f"up{level}")(x)
        x = layers.Concatenate(name=f"skip{level}")([skips[level], x])
        x = block(x, filters[level], f"decoder{level}")
    logits = block.head(x, stride)
    probability = layers.Activation("sigmoid", dtype="float32", name="probability")(logits)
    unet = keras.Model(inputs, probability, name="unet")

    image = keras.Input((size, size, 3), name="image")
    return keras.Model(image, unet(_normalise(size, settings.standardize)(image)), name="unetseg")


def for_tiles(model: keras.Model, standardize: bool) -> keras.Model:
    """Give the same U-Net, with the same weights, for parts of images beside the mean and deviation of the whole.

    Args:
        model: of `build_unet`.
        standardize: as it was built.

    Returns:
        A model of "tile", float32 (B, height, width, 3), RGB in 0…255, and "statistics", float32 (B, 2), to
        probabilities; height and width may change from batch to batch.
    """
    tile = keras.Input((None, None, 3), name="tile")
    statistics = keras.Input((2,), name="statistics")
    mean, deviation = ops.split(ops.reshape(statistics, (-1, 2, 1, 1)), 2, axis=1)
    seen = _standardise(tile - mean, mean, deviation) if standardize else ops.divide(tile, 255.0)
    of_one_size = model.get_layer("unet")
    unet = keras.models.clone_model(of_one_size, keras.Input((None, None, 3)), clone_function=lambda layer: layer)
    return keras.Model({"tile": tile, "statistics": statistics}, unet(seen), name="tiles")


def _normalise(size: int, standardize: bool) -> keras.Model:
    """Map raw values to network input with Keras' own operations, which load without this package."""
    image = keras.Input((size, size, 3), name="raw")
    if not standardize:
        return keras.Model(image, ops.divide(image, 255.0), name="normalise")
    mean = _mean(image)
    centred = image - mean
    deviation = ops.sqrt(_mean(ops.square(centred)))
    return keras.Model(image, _standardise(centred, mean, deviation), name="normalise")


def _standardise(
    centred: keras.KerasTensor, mean: keras.KerasTensor, deviation: keras.KerasTensor
) -> keras.KerasTensor:
    """Scale to unit deviation, dark background and bright objects."""
    sign = ops.where(mean > 127.5, -1.0, 1.0)
    return sign * centred / ops.maximum(deviation, FLAT)


def _mean(values: keras.KerasTensor) -> keras.KerasTensor:
    """Average over an image, axis by axis: one long sum loses digits in runtimes that add naively."""
    for axis in (1, 2, 3):
        values = ops.mean(values, axis=axis, keepdims=True)
    return values


class _Block:
    """Two 3×3 convolutions, each followed by normalisation and activation."""

    def __init__(self, settings: ModelSettings) -> None:
        self.settings = settings

    def __call__(self, x: keras.KerasTensor, filters: int, name: str) -> keras.KerasTensor:
        y = self._convolve(x, filters, 3, 1, f"{name}_1")
        y = self._convolve(y, filters, 3, 1, f"{name}_2")
        if not self.settings.residual:
            return y
        if x.shape[-1] != filters:
            x = layers.Conv2D(filters, 1, use_bias=False, kernel_initializer="he_normal", name=f"{name}_project")(x)
        return layers.Add(name=f"{name}_add")([x, y])

    def stem(self, x: keras.KerasTensor, filters: int, stride: int) -> keras.KerasTensor:
        """Halve the image by a strided convolution, or leave it as it is."""
        return x if stride == 1 else self._convolve(x, filters, 4, stride, "stem")

    def head(self, x: keras.KerasTensor, stride: int) -> keras.KerasTensor:
        """Come back to full resolution as one logit a pixel."""
        if stride == 1:
            return layers.Conv2D(1, 1, name="logits")(x)
        return layers.Conv2DTranspose(1, 4, stride, padding="same", name="logits")(x)

    def _convolve(self, x: keras.KerasTensor, filters: int, kernel: int, stride: int, name: str) -> keras.KerasTensor:
        bare = self.settings.normalization == "none"
        common = {"padding": "same", "use_bias": bare, "name": f"{name}_conv"}
        if self.settings.separable and stride == 1:
            # of unit variance out; Keras would count the inputs of all channels, of which a depthwise kernel sees one
            depthwise = keras.initializers.VarianceScaling(float(x.shape[-1]))
            x = layers.SeparableConv2D(
                filters, kernel, depthwise_initializer=depthwise, pointwise_initializer="he_normal", **common
            )(x)
        else:
            x = layers.Conv2D(filters, kernel, stride, kernel_initializer="he_normal", **common)(x)
        if not bare:
            x = layers.BatchNormalization(momentum=0.9, name=f"{name}_norm")(x)
        return layers.Activation(self.settings.activation, name=f"{name}_{self.settings.activation}")(x)
