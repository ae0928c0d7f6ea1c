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
    return keras.Model(inputs, probability, name="unet")


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
