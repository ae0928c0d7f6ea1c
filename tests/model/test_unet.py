import numpy as np
import pytest
from values import small_unet

from unetseg.model import keras

IMAGE = np.random.default_rng(0).integers(0, 256, (1, 16, 16, 3)).astype(np.float32)


def layers_of(model, kind):
    return [layer for layer in model.get_layer("unet").layers if isinstance(layer, kind)]


@pytest.mark.slow
@pytest.mark.parametrize("stem_stride", [1, 2])
@pytest.mark.parametrize("normalization", ["batch", "none"])
@pytest.mark.parametrize("kind", ["residual", "separable", None])
def test_every_shape_of_model_maps_raw_images_to_probabilities(stem_stride, normalization, kind):
    changed = {"stem_stride": stem_stride, "normalization": normalization, **({kind: True} if kind else {})}
    model = small_unet(**changed)
    probability = model.predict(IMAGE, verbose=0)
    assert probability.shape == (1, 16, 16, 1)
    assert ((probability >= 0) & (probability <= 1)).all()
    assert bool(layers_of(model, keras.layers.BatchNormalization)) == (normalization == "batch")


def test_separable_convolutions_need_fewer_weights():
    usual, separable = (small_unet(separable=kind) for kind in (False, True))
    assert separable.count_params() < usual.count_params()
    assert len(layers_of(separable, keras.layers.SeparableConv2D)) == len(layers_of(usual, keras.layers.Conv2D)) - 1


def test_it_is_a_u_net():
    model = small_unet()
    assert len(layers_of(model, keras.layers.MaxPooling2D)) == 2
    assert len(layers_of(model, keras.layers.Conv2DTranspose)) == 2
    assert len(layers_of(model, keras.layers.Concatenate)) == 2


def test_the_u_net_of_the_paper_is_a_few_parameters_away():
    paper = {"base_filters": 64, "max_filters": 1024, "depth": 4, "normalization": "none"}
    assert small_unet(64, **paper).count_params() == pytest.approx(31e6, rel=0.01)
