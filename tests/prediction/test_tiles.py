import functools

import numpy as np
import pytest
from values import small_unet

from unetseg.errors import InputError
from unetseg.model import keras
from unetseg.model.assembly import assemble
from unetseg.prediction.plan import in_memory
from unetseg.prediction.predictor import Predictor


@functools.cache
def made(stem_stride=1, standardize=True):
    keras.utils.set_random_seed(0)
    return small_unet(32, base_filters=4, max_filters=8, stem_stride=stem_stride, standardize=standardize)


def textured(height, width, mean):
    rows, columns = np.indices((height, width))
    noise = np.random.default_rng(0).normal(0, 5, (height, width, 3))
    pattern = 20 * np.sin(rows / 9)[..., None] * np.cos(columns / 7)[..., None]
    return np.clip(mean + pattern + noise, 0, 255).astype(np.uint8)


def native(model, image, **options):
    return Predictor(model, "tiles", **options).image(image)


@pytest.mark.slow
@pytest.mark.parametrize("stem_stride", [1, 2])
@pytest.mark.parametrize("mean", [40, 200])
def test_an_image_of_the_models_size_gets_what_the_model_says(stem_stride, mean):
    model = made(stem_stride, standardize=mean == 40)
    image = textured(32, 32, mean)
    expected = model.predict_on_batch(image[None].astype(np.float32))[0, ..., 0]
    assert np.ptp(expected) > 0.05
    assert np.allclose(native(model, image), expected, atol=1e-4)


def test_an_even_image_is_not_divided_by_nothing():
    model = made()
    image = np.full((32, 32, 3), 9, np.uint8)
    expected = model.predict_on_batch(image[None].astype(np.float32))[0, ..., 0]
    assert np.allclose(native(model, image), expected, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("stem_stride", [1, 2])
def test_tiles_show_no_seam_against_one_pass_over_the_whole(stem_stride):
    model = made(stem_stride)
    image = textured(200, 232, 60)
    once = native(model, image, tile=256)
    tiled = native(model, image, tile=160, overlap=96)
    assert np.ptp(once) > 0.05
    assert np.abs(tiled - once).max() < 0.005


@pytest.mark.slow
def test_statistics_are_those_of_the_whole_image_and_not_of_a_tile():
    model = made()
    image = textured(256, 32, 60)
    image[128:] //= 4
    apart = np.concatenate(
        [native(model, image[:128], tile=64, overlap=32), native(model, image[128:], tile=64, overlap=32)]
    )
    together = native(model, image, tile=64, overlap=32)
    assert np.abs(together - apart).max() > 0.05


@pytest.mark.parametrize(("height", "width"), [(1, 1), (7, 90), (33, 31)])
def test_any_size_comes_back_as_it_was(height, width):
    image = textured(height, width, 60)
    predictor = Predictor(made(), "tiles", tile=32, overlap=8)
    strips = list(predictor.strips(in_memory(image)))
    assert np.concatenate(strips).shape == (height, width)


def test_taking_a_model_apart_leaves_it_as_it_was():
    model = made()
    before = model.to_json()
    native(model, textured(50, 60, 40))
    assert model.to_json() == before


def test_a_model_of_another_make_is_refused():
    image = keras.Input((32, 32, 3))
    with pytest.raises(InputError, match="'normalise' and 'unet'"):
        Predictor(keras.Model(image, keras.layers.Conv2D(1, 1)(image)), "tiles")


def spots(height, width, dark, bright):
    """Draw squares of one value on another."""
    rows, columns = np.indices((height, width))
    inside = (rows % 16 < 5) & (columns % 16 < 5)
    return np.where(inside, bright, dark)[..., None].repeat(3, -1).astype(np.uint8), inside


def finds_bright_spots(size, small):
    """Make a model whose U-Net finds what is brighter than the mean."""
    inputs = keras.Input((None, None, 3), name="input")
    find = keras.layers.Conv2D(1, 1, activation="sigmoid")
    unet = keras.Model(inputs, find(inputs), name="unet")
    find.set_weights([np.full((1, 1, 3, 1), 4.0, np.float32), np.array([-3.0], np.float32)])
    return assemble(small_unet(size).get_layer("normalise"), unet, small)


@pytest.mark.slow
@pytest.mark.parametrize("small", [64, 32])
@pytest.mark.parametrize(("dark", "bright"), [(10, 60), (60, 10), (150, 250), (250, 150)])
def test_the_polarity_of_an_image_in_tiles_is_that_of_the_whole(dark, bright, small, monkeypatch):
    monkeypatch.setattr("unetseg.images.tiling.STRIP", 64 * 30)  # the small copy is made strip by strip
    image, inside = spots(128, 64, dark, bright)
    probability = native(finds_bright_spots(64, small), image, tile=32, overlap=8)
    assert np.array_equal(probability >= 0.5, inside)
