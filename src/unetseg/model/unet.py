"""The U-Net, with everything from pixel values to probabilities inside.

Ronneberger, Fischer and Brox, "U-Net: Convolutional Networks for Biomedical Image Segmentation", MICCAI 2015.
"""

import keras
from keras import layers, ops

from unetseg.config import ModelSettings

FLAT = 1.0  # smallest deviation that is scaled to one, in steps of 0…255; below it an image is noise
SMALL = 2  # polarity is decided on a copy of the image reduced by this factor, if the poolings allow it


def build_unet(size: int, settings: ModelSettings) -> keras.Model:
    """Build a U-Net from raw images to foreground probabilities.

    See `assemble` for the parts it is made of.

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

    inputs = keras.Input((None, None, 3), name="input")
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
    small = size // SMALL if size % (SMALL * stride * 2**depth) == 0 else size
    return assemble(_normalise(size, settings.standardize), unet, small if settings.standardize else None)


def assemble(normalise: keras.Model, unet: keras.Model, small: int | None) -> keras.Model:
    """Join the parts of a model, which it holds by name, so that large images can be predicted in tiles.

    With the layer "polarity" the model decides from its own predictions whether objects are brighter (1) or darker
    (-1) than the background: it predicts a small copy of the image and the copy's negative, and keeps the polarity
    whose expected Dice is higher. The "unet" so sees objects that are brighter, always.

    Args:
        normalise: "normalise", raw values to zero mean and unit deviation, or to 0…1.
        unet: "unet", network input of any size to probabilities.
        small: height and width of the copy; None: the model has no polarity, and takes images as they are.

    Returns:
        The model, of images of the size that `normalise` takes.
    """
    image = keras.Input(normalise.input_shape[1:], name="image")
    seen = normalise(image)
    if small:
        factor = normalise.input_shape[1] // small
        copy = layers.AveragePooling2D(factor, name="small")(seen) if factor > 1 else seen
        darker = _expected_dice(unet(ops.negative(copy))) > _expected_dice(unet(copy))
        polarity = layers.Identity(name="polarity")(ops.where(darker, -1.0, 1.0))
        seen = layers.Multiply(name="bright_objects")([seen, polarity])
    return keras.Model(image, unet(seen), name="unetseg")


def small_size(model: keras.Model) -> int | None:
    """Return the `small` that a model was assembled with."""
    found = {layer.name: layer for layer in model.layers}
    if "polarity" not in found:
        return None
    return int(found["small"].output.shape[1] if "small" in found else model.input_shape[1])


def _expected_dice(probability: keras.KerasTensor) -> keras.KerasTensor:
    """Compute 2Σp·m / (Σp + Σm) with m = p ≥ 0.5: the Dice of mask m if p is right; 0 without foreground."""
    mask = ops.cast(probability >= 0.5, "float32")
    total = _mean(probability) + _mean(mask)
    return 2.0 * _mean(probability * mask) / ops.maximum(total, 1e-7)


def for_tiles(model: keras.Model, standardize: bool) -> keras.Model:
    """Return the same U-Net with the same weights, for tiles with statistics of the whole image.

    Args:
        model: of `build_unet`.
        standardize: as it was built.

    Returns:
        A model of "tile", float32 (B, height, width, 3), RGB in 0…255, and "statistics", float32 (B, 3), the whole
        image's mean, deviation and polarity (1: objects are brighter than the background; -1: darker), to
        probabilities; height and width may change from batch to batch.
    """
    tile = keras.Input((None, None, 3), name="tile")
    statistics = keras.Input((3,), name="statistics")
    mean, deviation, polarity = ops.split(ops.reshape(statistics, (-1, 3, 1, 1)), 3, axis=1)
    seen = polarity * _standardise(tile - mean, deviation) if standardize else ops.divide(tile, 255.0)
    unet = model.get_layer("unet")
    return keras.Model({"tile": tile, "statistics": statistics}, unet(seen), name="tiles")


def _normalise(size: int, standardize: bool) -> keras.Model:
    """Map raw values to network input, with Keras' own operations only, so that it loads without this package."""
    image = keras.Input((size, size, 3), name="raw")
    if not standardize:
        return keras.Model(image, ops.divide(image, 255.0), name="normalise")
    centred = image - _mean(image)
    deviation = ops.sqrt(_mean(ops.square(centred)))
    return keras.Model(image, _standardise(centred, deviation), name="normalise")


def _standardise(centred: keras.KerasTensor, deviation: keras.KerasTensor) -> keras.KerasTensor:
    """Scale to unit deviation."""
    return centred / ops.maximum(deviation, FLAT)


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
        """Halve the resolution by a strided convolution, or do nothing."""
        return x if stride == 1 else self._convolve(x, filters, 4, stride, "stem")

    def head(self, x: keras.KerasTensor, stride: int) -> keras.KerasTensor:
        """Return to full resolution with one logit per pixel."""
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
