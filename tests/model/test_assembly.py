import subprocess

import numpy as np
import pytest
from pipeline import Project
from values import small_unet

from unetseg.model import keras
from unetseg.model.assembly import assemble, for_tiles, take_apart
from unetseg.model.file import save_model

IMAGE = np.random.default_rng(0).integers(0, 256, (1, 16, 16, 3)).astype(np.float32)


@pytest.mark.parametrize(("gain", "shift"), [(0.1, 3.0), (0.5, 100.0)])
def test_standardised_input_does_not_depend_on_exposure_or_offset(gain, shift):
    normalise = small_unet().get_layer("normalise")
    dark = IMAGE / 4
    np.testing.assert_allclose(normalise(dark), normalise(gain * dark + shift), atol=1e-3)


def test_an_image_of_one_value_has_a_finite_probability():
    model = small_unet()
    for value in (0.0, 255.0):
        assert np.isfinite(model.predict(np.full_like(IMAGE, value), verbose=0)).all()


def test_without_standardisation_values_are_divided_by_255():
    normalise = small_unet(standardize=False).get_layer("normalise")
    np.testing.assert_allclose(normalise(IMAGE), IMAGE / 255, rtol=1e-6)


def test_a_size_that_pooling_cannot_halve_is_refused():
    with pytest.raises(ValueError, match="size 18 is not divisible by"):
        small_unet(18)


@pytest.mark.usefixtures("programs")
def test_a_stranger_loads_the_model_in_safe_mode_without_this_package(tmp_path):
    model = small_unet()
    save_model(tmp_path / "m.keras", model, {})
    np.save(tmp_path / "image.npy", IMAGE)
    script = (
        "import sys, numpy as np, keras; model = keras.saving.load_model(sys.argv[1] + '/m.keras', safe_mode=True);"
        "np.save(sys.argv[1] + '/p.npy', model.predict(np.load(sys.argv[1] + '/image.npy'), verbose=0));"
        "assert not any(name.startswith('unetseg') for name in sys.modules)"
    )
    subprocess.run([Project.programs / "python", "-c", script, str(tmp_path)], check=True, capture_output=True)
    np.testing.assert_allclose(np.load(tmp_path / "p.npy"), model.predict(IMAGE, verbose=0), atol=1e-6)


def spotted(dark, bright):
    """Draw a square spot of one value on another."""
    image = np.full((2, 16, 16, 3), dark, np.float32)
    image[:, 4:11, 3:10] = bright
    return image


def finds_bright_spots(small=16):
    """Make a model whose U-Net finds what is brighter than the mean, and that decides on a copy of this size."""
    model = small_unet()
    inputs = keras.Input((None, None, 3), name="input")
    find = keras.layers.Conv2D(1, 1, activation="sigmoid")
    unet = keras.Model(inputs, find(inputs), name="unet")
    find.set_weights([np.full((1, 1, 3, 1), 4.0, np.float32), np.array([-3.0], np.float32)])
    return assemble(model.get_layer("normalise"), unet, small)


def polarity_of(model, image):
    return keras.Model(model.input, model.get_layer("polarity").output).predict(image, verbose=0).ravel().tolist()


@pytest.mark.slow
@pytest.mark.parametrize("small", [8, 16])
@pytest.mark.parametrize(("dark", "bright"), [(10, 60), (150, 250), (0, 255)])
def test_polarity_is_found_whatever_the_brightness(dark, bright, small):
    model = finds_bright_spots(small)
    objects = spotted(0, 1)[..., :1] > 0
    for image, polarity in ((spotted(dark, bright), 1.0), (spotted(bright, dark), -1.0)):
        assert polarity_of(model, image) == [polarity] * 2
        np.testing.assert_array_equal(model.predict(image, verbose=0) >= 0.5, objects)


def test_each_image_of_a_batch_has_its_own_polarity():
    model = finds_bright_spots()
    both = np.concatenate([spotted(10, 60)[:1], spotted(200, 90)[:1]])
    assert polarity_of(model, both) == [1.0, -1.0]


def test_where_nothing_is_found_either_way_the_image_is_taken_as_it_is():
    assert polarity_of(finds_bright_spots(), np.full((1, 16, 16, 3), 200, np.float32)) == [1.0]


def test_polarity_is_decided_at_the_size_of_the_image_unless_the_model_was_made_otherwise():
    assert take_apart(small_unet()).small == 16
    assert take_apart(finds_bright_spots(8)).small == 8
    assert take_apart(small_unet(standardize=False)).small is None


@pytest.mark.slow
@pytest.mark.parametrize("standardize", [True, False])
@pytest.mark.parametrize("polarity", [1.0, -1.0])
def test_tiles_are_normalised_by_the_statistics_of_their_whole_image(standardize, polarity):
    model = small_unet(standardize=standardize, normalization="none")
    whole = np.concatenate([IMAGE, IMAGE / 2 + 100], axis=1)
    statistics = np.array([[whole.mean(), whole.std(), polarity]], np.float32)
    seen = small_unet(32, standardize=standardize).get_layer("normalise")
    normalised = np.asarray(seen(np.concatenate([whole, whole], axis=2)))[:, :16, :16]
    probability = for_tiles(model, standardize)({"tile": whole[:, :16], "statistics": statistics})
    expected = model.get_layer("unet")(normalised * (polarity if standardize else 1))
    np.testing.assert_allclose(probability, expected, atol=1e-5)


@pytest.mark.parametrize("changed", [{}, {"residual": True, "stem_stride": 2}, {"separable": True}])
def test_a_model_for_tiles_has_the_same_weights(changed):
    model = small_unet(**changed)
    tiles = for_tiles(model, True)
    tiles.set_weights([weight + 1 for weight in tiles.get_weights()])
    assert [*map(id, tiles.weights)] == [*map(id, model.weights)]
    assert [*map(id, tiles.trainable_variables)] == [*map(id, model.trainable_variables)]
