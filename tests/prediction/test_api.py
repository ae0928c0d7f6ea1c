import copy
import doctest
import os
import re
import warnings
from pathlib import Path

import cv2
import numpy as np
import PIL.Image
import pytest
import tifffile
from spots import MODEL, SIZE, spots

import unetseg
from unetseg.errors import InputError
from unetseg.images.opening import read_image
from unetseg.images.resampling import fit, resize
from unetseg.model.file import save_model
from unetseg.objects.separation import separated_objects
from unetseg.prediction.api import predict

UNKNOWN = "a model that is not from unetseg.load_model, or a copy: "
pytestmark = pytest.mark.filterwarnings(f"ignore:{UNKNOWN}")


def test_an_image_is_fitted_predicted_and_restored():
    image = spots(50, 70)
    seen = MODEL.predict_on_batch(fit(image, SIZE)[None].astype(np.float32))[0, ..., 0]
    predicted = predict(image, MODEL)
    assert np.allclose(predicted.probability, resize(seen, 50, 70), atol=1e-6)
    assert np.array_equal(predicted.mask, predicted.probability >= 0.5)
    assert predicted.labels.max() == 2
    assert np.array_equal(predicted.labels > 0, predicted.mask)


def test_in_tiles_nothing_is_resized():
    predicted = predict(spots(50, 70), MODEL, scale="tiles")
    assert np.array_equal(predicted.mask[10:19, :50], spots(50, 70)[10:19, :50, 0] > 127)


def test_many_images_come_back_in_their_order():
    images = [spots(40 + number, 60) for number in range(11)]
    predicted = predict(images, MODEL)
    assert [each.probability.shape for each in predicted] == [(40 + number, 60) for number in range(11)]
    assert np.allclose(predicted[10].probability, predict(images[10], MODEL).probability, atol=1e-6)


@pytest.mark.parametrize(
    "change",
    [
        lambda image: image[..., 0],
        lambda image: image[..., :1],
        lambda image: np.concatenate([image, image[..., :1] * 0], axis=2),  # the same alpha everywhere
        lambda image: image.astype(np.uint16) * 16,
        lambda image: image.astype(np.float64) / 1000,
        lambda image: image > 128,
    ],
)
def test_grey_alpha_16_bit_and_floats_mean_the_same_image(change):
    image = spots(50, 70)
    image[0, 0], image[0, 1] = 0, 255  # its range is that of 8 bit
    assert (predict(change(image), MODEL).mask == predict(image, MODEL).mask).mean() > 0.99


@pytest.mark.parametrize(
    "array", [np.zeros(5), np.zeros((2, 2, 5)), np.zeros((1, 2, 2, 3)), np.zeros((0, 4)), np.array([["a"]])]
)
def test_what_is_no_image_is_told(array):
    with pytest.raises(InputError, match="an image is"):
        predict(array, MODEL)


class Lazy:
    """An array of another library, which NumPy can take."""

    def __init__(self, array):
        self._array = array

    def __array__(self, dtype=None, copy=None):
        return self._array


def test_what_turns_into_an_array_is_one_image():
    image = spots(20, 30)
    expected = predict(image, MODEL).probability
    assert np.array_equal(predict(Lazy(image), MODEL).probability, expected)
    assert [each.probability.shape for each in predict([Lazy(image), image[:10]], MODEL)] == [(20, 30), (10, 30)]


def test_arrays_on_disk_and_tables_are_images_too(tmp_path):
    image = spots(20, 30)
    np.save(tmp_path / "a.npy", image)
    tifffile.imwrite(tmp_path / "a.tif", image)
    expected = predict(image, MODEL).probability
    for array in (np.load(tmp_path / "a.npy", mmap_mode="r"), tifffile.memmap(tmp_path / "a.tif", mode="r")):
        assert np.array_equal(predict(array, MODEL).probability, expected)
    table = Lazy(image[..., 0])
    table.mode = lambda: None  # as a table of pandas has
    assert np.array_equal(predict(table, MODEL).probability, expected)


def test_pictures_of_pillow_are_taken_as_they_are_seen_or_refused():
    image = spots(20, 30)
    picture = PIL.Image.fromarray(image)
    assert np.array_equal(predict(picture, MODEL).probability, predict(image, MODEL).probability)
    for mode in ("P", "CMYK"):
        with pytest.raises(InputError, match=rf"mode {mode}: pass image\.convert\('RGB'\)"):
            predict(picture.convert(mode), MODEL)


@pytest.mark.parametrize("given", [np.zeros((9, 9)).tolist(), "x.png", Path("x.png"), None, ["x.png"]])
def test_what_is_no_array_is_told(given):
    with pytest.raises(InputError, match="is no image: an image is an array"):
        predict(given, MODEL)


@pytest.mark.parametrize("model", ["nuclei.keras", None, Path("nuclei.keras")])
def test_what_is_no_model_is_told(model):
    with pytest.raises(InputError, match=r"is no model: pass what unetseg\.load_model gives"):
        predict(spots(20, 30), model)


def test_a_copy_of_a_model_has_lost_its_values_which_is_a_warning(tmp_path):
    save_model(tmp_path / "m.keras", MODEL, {})
    (tmp_path / "m.json").write_text('{"threshold": 0.9}')
    model = unetseg.load_model(tmp_path / "m.keras")
    with warnings.catch_warnings(action="error"):
        assert predict(spots(20, 30), model).threshold == 0.9
    with pytest.warns(UserWarning, match=UNKNOWN):
        assert predict(spots(20, 30), copy.copy(model)).threshold == 0.5


def trained_on(tmp_path, channel, project="none"):
    save_model(tmp_path / "m.keras", MODEL, {"trained_with": {"data": {"channel": channel, "project": project}}})
    (tmp_path / "m.json").write_text("{}")
    return tmp_path / "m.keras"


@pytest.mark.parametrize("channel", [1, "DAPI"])
def test_a_model_of_one_channel_takes_that_alone_and_never_a_mix(tmp_path, channel):
    image = spots(20, 30)
    image[..., 0], image[..., 2] = 255, 0
    model = unetseg.load_model(trained_on(tmp_path, channel))
    told = rf"an image has 3 channels, and the model was trained on channel {channel!r}; pass that alone, as read_image"
    for mixed in (image, np.dstack([image, image[..., 2]])):
        with pytest.raises(InputError, match=told):
            predict([mixed], model)
    with pytest.raises(InputError, match=rf"; pass channel {channel!r} alone"):
        predict(image[..., :2], model)
    with pytest.raises(InputError, match="has 1 values that are NaN"):
        predict(np.where(np.arange(600).reshape(20, 30) == 7, np.nan, 1.0), model)
    alone = predict(image[..., 1], model).probability
    cv2.imwrite(str(tmp_path / "a.png"), image[..., ::-1])
    assert np.array_equal(predict(read_image(tmp_path / "a.png", channel=1), model).probability, alone)
    assert np.array_equal(alone, predict(image[..., 1], MODEL).probability)


def test_a_model_of_projections_is_a_warning_since_an_array_does_not_tell(tmp_path):
    path = trained_on(tmp_path, "all", "max")
    with pytest.warns(UserWarning, match=r"m\.keras: was trained on projections of z-stacks; .*project='max'"):
        unetseg.load_model(path)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_fork_of_a_process_that_has_used_a_model_is_refused_in_a_line(tmp_path):
    save_model(tmp_path / "m.keras", MODEL, {})
    model = unetseg.load_model(tmp_path / "m.keras")
    uses = lambda: predict(spots(20, 30), model), lambda: unetseg.load_model(tmp_path / "m.keras")
    for use in uses:
        if (child := os.fork()) == 0:
            status = 1
            try:
                use()
            except InputError as error:
                status = int("get_context('spawn')" not in str(error))
            finally:
                os._exit(status)
        assert os.waitpid(child, 0)[1] == 0
    assert predict(spots(20, 30), model).mask.any()


def test_values_of_evaluate_that_are_missing_or_of_another_model_are_a_warning(tmp_path):
    save_model(tmp_path / "m.keras", MODEL, {"trained_with": {"image": {"mode": "resize"}}})
    with pytest.warns(UserWarning, match=r"from the model, without what `evaluate` chose: copy its .* to .*m\.json$"):
        unetseg.load_model(tmp_path / "m.keras")
    (tmp_path / "tuning.json").write_text(f'{{"model": "{"0" * 64}", "threshold": 0.9}}')
    with pytest.warns(UserWarning, match=r"from the model, as .*tuning\.json is of another model$"):
        model = unetseg.load_model(tmp_path / "m.keras")
    assert predict(spots(20, 30), model).threshold == 0.5


def test_values_that_are_no_numbers_are_told():
    with pytest.raises(InputError, match=r"an image has 81 values that are NaN, infinite or beyond 1e\+30$"):
        predict(np.full((9, 9), np.nan), MODEL)


def test_nothing_of_an_array_is_passed_over():
    two = np.dstack([spots(50, 70)[..., 0], np.zeros((50, 70), np.uint8)])
    with pytest.raises(InputError, match=r"pass one channel: image\[\.\.\., 0\]"):
        predict(two, MODEL)
    with pytest.raises(InputError, match=r"a masked array: .* pass image\.filled"):
        predict(np.ma.array(spots(50, 70), mask=spots(50, 70) > 9), MODEL)


def test_the_threshold_depth_and_smallest_object_are_the_callers():
    image = spots(32, 32)
    predicted = predict(image, MODEL, threshold=0.9, depth=0.5, min_size=2)
    assert np.array_equal(predicted.mask, predicted.probability >= np.float32(0.9))
    assert np.array_equal(predicted.labels, separated_objects(predicted.probability, 0.9, 0.5, 2))


def test_the_docstrings_example_is_true(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pretrained").mkdir()
    MODEL.save(tmp_path / "pretrained/nuclei.keras")
    example = doctest.DocTestParser().get_doctest(predict.__doc__, {"__name__": "x"}, "predict", None, None)
    assert len(example.examples) > 5
    assert doctest.DocTestRunner().run(example).failed == 0


def test_the_package_offers_what_a_user_needs():
    assert unetseg.predict is predict
    assert callable(unetseg.load_model)
    with pytest.raises(AttributeError, match="nothing"):
        _ = unetseg.nothing


def test_the_path_of_a_model_may_be_text(tmp_path):
    save_model(tmp_path / "m.keras", MODEL, {})
    assert unetseg.load_model(str(tmp_path / "m.keras")).input_shape == MODEL.input_shape


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ({"threshold": 2.0}, "threshold 2"), ({"depth": -1.0}, "depth -1"), ({"min_size": -3}, "min_size -3"),
        ({"zoom": -1.0}, "zoom -1: it is from 1/64 to 64"), ({"zoom": 1000.0}, "zoom 1000"),
        ({"zoom": "2"}, "zoom '2': it is a number"), ({"pixel_size": "a"}, "pixel size 'a': it is a number"),
    ],
)  # fmt: skip
def test_a_value_that_is_not_possible_is_told(value, told):
    with pytest.raises(InputError, match=told):
        predict(np.zeros((16, 16), np.uint8), MODEL, **value)


@pytest.mark.parametrize(
    ("shape", "hint"),
    [
        ((3, 50, 70), "as a list: list(images); if it is one, move its channels last: np.moveaxis(image, 0, -1)"),
        ((2, 50, 70), "pass several images as a list: list(images)"),
        ((20, 50, 70), "pass several images as a list: list(images)"),
        ((8, 50, 70, 3), "pass several images as a list: list(images)"),
        ((300, 50, 50), "pass several images as a list: list(images)"),
        ((50, 70, 5), "pass one channel: image[..., 0]"),
        ((1, 2, 50, 70, 3), "grey, RGB or RGBA"),
    ],
)
def test_an_array_that_is_no_image_is_told_with_what_it_may_be(shape, hint):
    with pytest.raises(InputError, match=f"{re.escape(str(shape))}.*{re.escape(hint)}$"):
        predict(np.zeros(shape, np.uint8), MODEL)
