import cv2
import numpy as np
import pytest

from unetseg.images.fingerprint import FINGERPRINT, fingerprint
from unetseg.splitting import relatives
from unetseg.splitting.relatives import find_duplicates


def _image(seed: int, height: int = 96, width: int = 96) -> np.ndarray:
    random = np.random.default_rng(seed)
    light = 120 * cv2.GaussianBlur(random.normal(size=(height, width)), (0, 0), 4)
    return np.clip(60 + light, 0, 255).astype(np.uint8)[..., None]


def _find(*images: np.ndarray) -> dict[tuple[int, int], bool]:
    return find_duplicates(np.array([fingerprint(image) for image in images], FINGERPRINT))


@pytest.mark.parametrize("turns", range(4))
@pytest.mark.parametrize("mirror", [False, True])
def test_a_turned_or_mirrored_copy_is_found_and_told_from_an_unturned_one(turns, mirror):
    copy = np.rot90(_image(0, 96, 128), turns)
    copy = copy[:, ::-1] if mirror else copy
    assert _find(_image(0, 96, 128), _image(1), copy) == {(0, 2): turns == 0 and not mirror}


@pytest.mark.parametrize("quality", [90, 30])
def test_a_copy_encoded_as_jpeg_is_found(quality):
    _, data = cv2.imencode(".jpg", np.rot90(_image(0)), [cv2.IMWRITE_JPEG_QUALITY, quality])
    assert _find(_image(0), cv2.imdecode(data, cv2.IMREAD_COLOR)) == {(0, 1): False}


def test_a_scaled_brighter_copy_is_found():
    copy = cv2.resize(_image(0), (250, 250)).astype(np.uint16)[..., None] * 200
    assert _find(copy, _image(0)) == {(0, 1): True}


def test_strangers_are_no_copies_even_under_the_same_uneven_light():
    rows, columns = np.mgrid[-1:1:96j, -1:1:96j]
    light = np.exp(-(rows**2) - columns**2)[..., None]
    assert _find(*(_image(seed) * 0.1 + 200 * light for seed in range(100))) == {}


def test_cells_of_like_size_in_like_places_are_no_copies():
    images = []
    for seed in range(30):
        random = np.random.default_rng(seed)
        centre, axes = (48 + random.normal(0, 2, 2)).tolist(), random.uniform(14, 24, 2).tolist()
        cell = cv2.ellipse(np.zeros((96, 96)), (centre, axes, random.uniform(0, 180)), 1, -1)
        texture = cv2.GaussianBlur(random.normal(size=cell.shape), (0, 0), 4)
        light = 15 + 100 * cv2.GaussianBlur(cell, (0, 0), 2) * (1 + 2 * texture) + random.normal(0, 3, cell.shape)
        images.append(np.clip(light, 0, 255).astype(np.uint8)[..., None])
    assert _find(*images) == {}
    assert _find(*images, np.rot90(images[7])) == {(7, 30): False}


def test_images_without_any_detail_are_no_copies():
    assert _find(*(np.full((64, 64, 3), value, np.uint8) for value in (0, 0, 7, 255))) == {}


def test_all_of_several_copies_are_paired():
    assert set(_find(_image(0), _image(0), _image(2), _image(0))) == {(0, 1), (0, 3), (1, 3)}


@pytest.mark.parametrize("grain", [1, 2])
def test_copies_are_those_of_comparing_every_two_in_eight_orientations(grain, monkeypatch):
    monkeypatch.setattr(relatives, "NARROW", 1)  # or others of a block are compared along with one that may be a copy
    random = np.random.default_rng(0)
    thumbnails = np.kron(random.normal(size=(40, 24 // grain, 24 // grain)), np.ones((1, grain, grain)))
    for number in range(1, 40, 2):  # half of them are the one before, turned, under noise that leaves 0.7 to 0.9 of it
        turned = np.rot90(thumbnails[number - 1], number)[:: random.choice([-1, 1])]
        thumbnails[number] = turned + random.uniform(0.5, 1) * thumbnails[number]
    thumbnails /= np.linalg.norm(thumbnails, axis=(1, 2), keepdims=True)
    flat = thumbnails.reshape(40, -1)
    orientations = [np.rot90(each, turns, (1, 2)) for each in (thumbnails, thumbnails[:, ::-1]) for turns in range(4)]
    alike = np.max([flat @ each.reshape(40, -1).T for each in orientations], axis=0) >= 0.8
    expected = {(first, second) for first, second in np.argwhere(alike).tolist() if first < second}
    assert 5 < len(expected) < 20
    fingerprints = np.zeros(40, FINGERPRINT)
    fingerprints["thumbnail"], fingerprints["details"] = thumbnails, np.kron(500 * thumbnails, np.ones((1, 4, 4)))
    assert set(find_duplicates(fingerprints)) == expected
