"""The U-Net: normalised images to foreground probabilities.

Ronneberger, Fischer and Brox, "U-Net: Convolutional Networks for Biomedical Image Segmentation", MICCAI 2015.
"""

from unetseg.config import ModelSettings
from unetseg.model import keras

layers = keras.layers


def build(settings: ModelSettings) -> keras.Model:
    """Build the network, from float32 (B, height, width, 3) to probabilities (B, height, width, 1), of any size."""
    depth, stride = settings.depth, settings.stem_stride
    filters = [min(settings.base_filters * 2**level, settings.max_filters) for level in range(depth + 1)]

    inputs = keras.Input((None, None, 3), name="input")
    x = inputs if stride == 1 else _convolve(inputs, filters[0], 4, stride, "stem", settings)
    skips = []
    for level in range(depth):
        x = _block(x, filters[level], f"encoder{level}", settings)
        skips.append(x)
        x = layers.MaxPooling2D(name=f"pool{level}")(x)
    x = _block(x, filters[depth], "bottleneck", settings)
    for level in reversed(range(depth)):
        x = layers.Conv2DTranspose(filters[level], 2, 2, kernel_initializer="he_normal", name=f"up{level}")(x)
        x = layers.Concatenate(name=f"skip{level}")([skips[level], x])
        x = _block(x, filters[level], f"decoder{level}", settings)
    if stride == 1:
        logits = layers.Conv2D(1, 1, name="logits")(x)
    else:  # back to the full resolution
        logits = layers.Conv2DTranspose(1, 4, stride, padding="same", name="logits")(x)
    probability = layers.Activation("sigmoid", dtype="float32", name="probability")(logits)
    return keras.Model(inputs, probability, name="unet")


def _block(x: keras.KerasTensor, filters: int, name: str, settings: ModelSettings) -> keras.KerasTensor:
    """Apply two 3×3 convolutions."""
    y = _convolve(x, filters, 3, 1, f"{name}_1", settings)
    y = _convolve(y, filters, 3, 1, f"{name}_2", settings)
    if not settings.residual:
        return y
    if x.shape[-1] != filters:
        x = layers.Conv2D(filters, 1, use_bias=False, kernel_initializer="he_normal", name=f"{name}_project")(x)
    return layers.Add(name=f"{name}_add")([x, y])


def _convolve(
    x: keras.KerasTensor, filters: int, kernel: int, stride: int, name: str, settings: ModelSettings
) -> keras.KerasTensor:
    """Apply a convolution, normalisation and activation."""
    bare = settings.normalization == "none"
    common = {"padding": "same", "use_bias": bare, "name": f"{name}_conv"}
    if settings.separable and stride == 1:
        # of unit variance out; Keras would count the inputs of all channels, of which a depthwise kernel sees one
        depthwise = keras.initializers.VarianceScaling(float(x.shape[-1]))
        x = layers.SeparableConv2D(
            filters, kernel, depthwise_initializer=depthwise, pointwise_initializer="he_normal", **common
        )(x)
    else:
        x = layers.Conv2D(filters, kernel, stride, kernel_initializer="he_normal", **common)(x)
    if not bare:
        x = layers.BatchNormalization(momentum=0.9, name=f"{name}_norm")(x)
    return layers.Activation(settings.activation, name=f"{name}_{settings.activation}")(x)
