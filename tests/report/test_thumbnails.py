import base64
import io

import numpy as np
from PIL import Image

from unetseg.report import page as thumbnails


def decode(uri):
    picture = Image.open(io.BytesIO(base64.b64decode(uri.split(",", 1)[1])))
    return np.asarray(picture.convert("RGBA") if "transparency" in picture.info else picture)


def square(top, left, side=4, size=16):
    mask = np.zeros((size, size), bool)
    mask[top : top + side, left : left + side] = True
    return mask


def test_errors_are_orange_where_found_in_vain_blue_where_missed_and_nothing_elsewhere():
    mask, truth = square(2, 2, 8), square(2, 6, 8)
    painted = decode(thumbnails.errors_uri(mask, truth))
    assert (painted[mask & ~truth] == thumbnails.FALSE_POSITIVE).all()
    assert (painted[truth & ~mask] == thumbnails.FALSE_NEGATIVE).all()
    assert (painted[2, 6:10] == thumbnails.TRUE_OUTLINE).all()
    assert (painted[4:8, 7:10, 3] == 0).all()
    assert (painted[~mask & ~truth][:, 3] == 0).all()


def test_a_mask_survives_its_picture():
    mask = square(3, 5)
    assert (decode(thumbnails.mask_uri(mask)) == mask).all()


def test_doubt_is_painted_only_where_the_probability_is_between():
    mask = np.zeros((16, 16), bool)
    probability = np.linspace(0, 1, 256, dtype=np.float32).reshape(16, 16)
    painted = decode(thumbnails.outlines_uri(mask, probability))
    between = (probability > thumbnails.DOUBT) & (probability < 1 - thumbnails.DOUBT)
    assert (painted[between] == thumbnails.IN_DOUBT).all()
    assert (painted[~between][:, 3] == 0).all()


def test_without_a_probability_the_outline_is_all_that_is_painted():
    painted = decode(thumbnails.outlines_uri(square(2, 2, 6), None))
    assert (painted[2, 2:8] == thumbnails.PREDICTED_OUTLINE).all()
    assert np.count_nonzero(painted[..., 3]) == 20


def test_a_dark_image_is_stretched_to_the_full_range():
    image = np.zeros((32, 32, 3), np.uint8)
    image[8:24, 8:24] = 30
    seen = decode(thumbnails.image_uri(image))
    assert seen[16, 16].min() > 240
    assert seen[2, 2].max() < 15


def test_a_flat_image_can_be_shown():
    assert decode(thumbnails.image_uri(np.full((8, 8, 3), 7, np.uint8))).max() == 0


def test_colours_keep_their_places():
    image = np.zeros((16, 16, 3), np.uint8)
    image[..., 0] = 200
    red, green, blue = decode(thumbnails.image_uri(image))[8, 8]
    assert red > 200
    assert max(green, blue) < 60


def test_a_shrunk_pixel_is_foreground_where_at_least_half_of_it_is():
    mask = np.array([[1, 1, 0, 0], [0, 0, 1, 0]], np.uint8)
    assert thumbnails.shrink_mask(mask, 1, 2).tolist() == [[True, False]]
