import numpy as np
import pytest
from spots import MODEL, SIZE, spots

from unetseg.errors import InputError
from unetseg.images.resampling import fit
from unetseg.model import keras
from unetseg.prediction.predictor import BATCH, Predictor

RANDOM = np.random.default_rng(0).integers(0, 255, (11, SIZE, SIZE, 3)).astype(np.uint8)


def fading_model():
    """Say foreground where the red channel is bright, and a little less surely from top to bottom."""
    image = keras.Input((SIZE, SIZE, 3))
    fading = np.linspace(0, 1, SIZE, dtype=np.float32)[None, :, None, None] * np.ones((1, SIZE, SIZE, 1), np.float32)
    return keras.Model(image, keras.ops.sigmoid(image[..., :1] / 64 - 2.0 - keras.ops.convert_to_tensor(fading)))


def test_predictions_come_in_the_order_of_the_images():
    predictor = Predictor(MODEL)
    alone = [next(predictor.fitted([image])) for image in RANDOM]
    together = list(predictor.fitted(RANDOM))
    np.testing.assert_array_equal(together, alone)
    assert together[0].dtype == np.float32


def test_the_model_always_sees_batches_of_one_shape():
    shapes = set()

    class Watched(keras.Model):
        def predict_on_batch(self, batch):
            shapes.add(batch.shape)
            return super().predict_on_batch(batch)

    assert len(list(Predictor(Watched(MODEL.input, MODEL.output)).fitted(RANDOM))) == len(RANDOM)
    assert shapes == {(BATCH, SIZE, SIZE, 3)}


def test_averaging_the_eight_views_makes_a_prediction_that_turns_with_its_image():
    once, averaging = Predictor(fading_model()), Predictor(fading_model(), tta=True)
    image = RANDOM[0]

    def predict(predictor, pixels):
        return next(predictor.fitted([np.ascontiguousarray(pixels)]))

    for turned in (np.rot90(image, 1), image[::-1], np.rot90(image, 3)[:, ::-1]):
        assert np.abs(predict(once, turned) - predict(averaging, turned)).max() > 0.01
    averaged = predict(averaging, image)
    np.testing.assert_allclose(predict(averaging, np.rot90(image, 1)), np.rot90(averaged), atol=1e-5)
    np.testing.assert_allclose(predict(averaging, image[::-1]), averaged[::-1], atol=1e-5)


def test_tiles_are_averaged_over_their_views_too():
    lopsided = keras.models.clone_model(MODEL)
    kernel = np.zeros((3, 3, 3, 1), np.float32)
    kernel[0] = 8 / 9
    lopsided.set_weights([kernel, np.array([-4], np.float32)])
    image = spots(70, 90)
    averaged = Predictor(lopsided, "tiles", tta=True).image(image)
    turned = Predictor(lopsided, "tiles", tta=True).image(np.ascontiguousarray(image[::-1, ::-1]))
    np.testing.assert_allclose(averaged[3:-3, 3:-3], turned[::-1, ::-1][3:-3, 3:-3], atol=1e-5)
    assert np.abs(averaged - Predictor(lopsided, "tiles").image(image)).max() > 0.01


def test_an_image_of_the_models_size_gets_the_same_of_either_scale():
    image = fit(spots(50, 70), SIZE)
    fitted, tiled = next(Predictor(MODEL).fitted([image])), Predictor(MODEL, "tiles").image(image)
    np.testing.assert_allclose(fitted, tiled, atol=1e-5)


def test_a_model_that_predicts_nan_is_told_to_the_user():
    image = keras.Input((SIZE, SIZE, 3))
    with pytest.raises(InputError, match="NaN"):
        list(Predictor(keras.Model(image, image[..., :1] * np.nan)).fitted(RANDOM))


def test_a_model_for_something_else_is_told():
    image = keras.Input((8, 16, 1))
    with pytest.raises(InputError, match=r"\(None, 8, 16, 1\)"):
        Predictor(keras.Model(image, image))
