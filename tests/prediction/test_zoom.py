import numpy as np
import pytest
from spots import MODEL, SIZE, spots

from unetseg.errors import ModelError
from unetseg.prediction.plan import in_memory
from unetseg.prediction.predictor import Predictor
from unetseg.prediction.settings import Settings, Tuning
from unetseg.prediction.zoom import ZOOMS, Zooming, most_certain_zoom, predict_zoomed

PREDICTOR = Predictor(MODEL)
TUNING = Tuning(sizes=(20, 60), pixel_size=0.5)


def decide(image, pixel=None, tuning=TUNING, **settings):
    zooming = Zooming(Settings(**settings), tuning)
    if zooming.fits(SIZE, image.shape[0], image.shape[1], pixel):
        return "fitted"
    return zooming.decide(PREDICTOR, in_memory(image, pixel))


def test_an_image_of_a_size_that_was_trained_on_is_seen_as_in_training():
    assert decide(spots(50, 60)) == "fitted"
    assert decide(spots(50, 60), tuning=Tuning(scale="tiles", sizes=(20, 60))) == 1


def test_a_larger_image_is_never_shrunk_to_the_models_size():
    assert decide(spots(50, 61)) != "fitted"
    assert decide(spots(SIZE, 4 * SIZE + 1), tuning=Tuning()) != "fitted"


@pytest.mark.parametrize(("pixel", "zoom"), [((0.25, 0.25), 0.5), ((0.5, 2.0), 2.0), ((8.0, 8.0), 16)])
def test_the_size_of_the_pixels_decides_where_the_models_is_known(pixel, zoom):
    assert decide(spots(50, 60), pixel) == zoom
    assert decide(spots(50, 60), pixel, Tuning(sizes=(20, 60))) == "fitted"
    assert decide(spots(50, 60), pixel, pixel_size=0.25) == 0.5


@pytest.mark.parametrize("size", [84.7, 0.007])  # 118 dots per cm, as for printing
def test_pixels_of_an_impossible_size_are_told_with_the_remedy(size):
    with pytest.raises(ModelError, match=rf"its pixels are {size:g} µm, .* give predict --pixel-size"):
        decide(spots(50, 60), (size, size))
    assert decide(spots(50, 60), (size, size), zoom=2.0) == 2.0


def test_images_in_memory_are_predicted_at_the_zoom_that_their_pixels_ask_for():
    images = [in_memory(spots(50, 60), pixel) for pixel in (None, (0.25, 0.25), (1.0, 1.0))]
    zooms = [zoom for zoom, _ in predict_zoomed(PREDICTOR, Zooming(Settings(), TUNING), images)]
    assert zooms == [pytest.approx(SIZE / (50 * 60) ** 0.5), 0.5, 2.0]


def test_what_is_asked_for_is_done():
    assert decide(spots(500, 60), (1.0, 1.0), scale="resize") == "fitted"
    assert decide(spots(500, 60), (1.0, 1.0), scale="tiles") == 1
    assert decide(spots(50, 60), (1.0, 1.0), zoom=0.3) == 0.3


def find(image, usual=1.0):
    return most_certain_zoom(PREDICTOR, in_memory(image), 0.5, usual)


def test_the_usual_zoom_is_kept_where_nothing_is_found():
    assert find(np.zeros((200, 100, 3), np.uint8), usual=0.8) == 0.8


def test_the_zoom_is_the_one_at_which_the_model_is_most_certain():
    class Choosy(Predictor):
        """Be certain where stripes are 8 pixels wide."""

        def scorer(self, *_):
            def score(tiles):
                bright = tiles[..., 0] > 127
                edges = np.flatnonzero(np.diff(bright[0, 0].astype(int)))
                sure = 0.99 if 7 <= np.diff([-1, *edges, SIZE - 1]).max() <= 9 else 0.6
                return np.where(bright, sure, 1 - sure).astype(np.float32)

            return score

    stripes = np.zeros((300, 320, 3), np.uint8)
    stripes[:, np.arange(320) // 16 % 2 == 0] = 255
    choosy = Choosy(MODEL)
    assert most_certain_zoom(choosy, in_memory(stripes), 0.5, 1.0) == 0.5
    assert most_certain_zoom(choosy, in_memory(stripes), 0.5, 1.0, doubt=1.0) == 1.0


def test_at_most_two_crops_are_seen_at_each_zoom_however_large_the_image():
    seen = []

    class Counting(Predictor):
        def scorer(self, image):
            score = super().scorer(image)
            return lambda tiles: (seen.append(tiles.size), score(tiles))[1]

    image = np.tile(spots(40, 50), (50, 40, 1))
    most_certain_zoom(Counting(MODEL), in_memory(image), 0.5, 1.0)
    assert sum(seen) <= 2 * len(ZOOMS) * SIZE * SIZE * 3
