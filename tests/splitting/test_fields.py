import cv2
import numpy as np
import pytest

from unetseg.images.fingerprint import FINGERPRINT, LENGTH, SIDES, fingerprint, kept
from unetseg.splitting import relatives
from unetseg.splitting.relatives import LOOSEST, Matches, Neighbours, find_neighbours, loosest_threshold


def _field(seed: int, height: int, width: int) -> np.ndarray:
    """A field of dim light with structure of several sizes and the noise of a camera, 8 bit."""
    random = np.random.default_rng(seed)
    light = np.zeros((height, width))
    for size in (2, 6):
        light += 12 * size * cv2.GaussianBlur(random.normal(size=(height, width)), (0, 0), size)
    return np.clip(np.rint(20 + 2 * light + random.normal(0, 1, light.shape)), 0, 255).astype(np.uint8)[..., None]


def _cut(field: np.ndarray, rows: int, columns: int) -> list[np.ndarray]:
    return [tile for row in np.split(field, rows) for tile in np.split(row, columns, axis=1)]


def _neighbours(images: list[np.ndarray]) -> Neighbours:
    return find_neighbours(np.array([fingerprint(image) for image in images], FINGERPRINT), range(len(images)))


def _find(images: list[np.ndarray]) -> set[tuple[int, int]]:
    return {tuple(sorted(pair)) for pair in _neighbours(images).pairs}


def test_tiles_find_exactly_the_tiles_that_they_were_cut_beside():
    images = [tile for seed in range(6) for tile in _cut(_field(seed, 128, 192), 2, 3)]
    within = [(0, 1), (1, 2), (3, 4), (4, 5), (0, 3), (1, 4), (2, 5)]
    assert _find(images) == {(6 * seed + first, 6 * seed + second) for seed in range(6) for first, second in within}


def test_the_order_of_the_images_does_not_matter():
    images = [tile for seed in range(4) for tile in _cut(_field(seed, 96, 96), 2, 2)]
    order = np.random.default_rng(0).permutation(len(images))
    shuffled = _find([images[number] for number in order])
    assert {tuple(sorted((int(order[first]), int(order[second])))) for first, second in shuffled} == _find(images)


def test_images_of_other_ranges_of_values_hide_no_neighbours():
    dim = [tile for seed in range(6) for tile in _cut(_field(seed, 96, 96), 2, 2)]
    bright = [
        np.float32(40_000) + 20_000 * (tile / 255) for seed in range(6, 8) for tile in _cut(_field(seed, 96, 96), 2, 2)
    ]
    assert {pair for pair in _find(dim + bright) if max(pair) < len(dim)} == _find(dim)


def test_blocks_of_other_brightness_are_left_out_only_where_they_hold_nothing_nearer(monkeypatch):
    random = np.random.default_rng(0)
    images = np.zeros(24, FINGERPRINT)
    images["pixels"], images["step"] = 48, 50
    images["values"][..., :48] = random.uniform(20, 200, (24, 1, 1)) * random.uniform(0.5, 1.5, (24, 4, 48))
    ends, starts = (images["values"][:, SIDES.index(side)] for side in ("right", "left"))
    starts[1::3], starts[2::3] = 1.02 * ends[::3], 1.03 * ends[::3]  # which differ in brightness alone
    expected = {(number, number + 1) for number in range(0, 24, 3)}
    for block in (24, 1):
        monkeypatch.setattr(relatives, "BLOCK", block)
        assert {pair for pair in find_neighbours(images, range(24)).pairs if pair[1] - pair[0] == 1} >= expected


def test_strangers_find_nobody():
    found = _neighbours([_field(seed, 96, 96) for seed in range(40)])
    assert (found.images, found.control) == (0, 0)


def test_the_control_finds_no_more_than_a_hundredth_of_what_is_found():
    images = [tile for seed in range(30) for tile in _cut(_field(seed, 96, 96), 2, 2)]
    found = _neighbours(images)
    assert found.images >= 118
    assert found.control <= 1
    assert found.threshold <= LOOSEST


@pytest.mark.parametrize("noise", [0, 1])
def test_dark_flat_borders_join_no_strangers(noise):
    random = np.random.default_rng(1)
    images = []
    for _ in range(60):
        image = random.integers(0, noise + 1, (64, 64, 1)).astype(np.uint8)
        image[16:48, 16:48] += random.integers(0, 200, (32, 32, 1), np.uint8)
        images.append(image)
    assert _find(images) == set()


def test_a_few_dark_flat_borders_among_bright_ones_join_no_strangers():
    dark = [np.zeros((64, 64, 1), np.uint8) for _ in range(2)]
    assert _find([*dark, *(_field(seed, 64, 64) + 40 for seed in range(10))]) == set()


def test_tiles_are_compared_in_the_orientation_that_they_have():
    left, right = _cut(_field(0, 96, 192), 1, 2)
    strangers = [_field(seed, 96, 96) for seed in range(1, 9)]
    assert _find([left, right, *strangers]) == {(0, 1)}
    assert _find([left, right[::-1], *strangers]) == set()
    assert _find([left, np.rot90(right, 2), *strangers]) == set()


def test_borders_of_different_lengths_never_meet():
    field = _field(0, 96, 192)
    assert _find([field[:, :96], field[:95, 96:]]) == set()


def test_neighbours_may_be_of_different_widths():
    field = _field(0, 96, 192)
    assert _find([field[:, :80], field[:, 80:], _field(1, 96, 80)]) == {(0, 1)}


def test_images_of_16_bit_are_compared_as_they_are_stored():
    field = _field(0, 96, 192).astype(np.uint16) * 150
    assert _find([*_cut(field, 1, 2), _field(1, 96, 96).astype(np.uint16) * 150]) == {(0, 1)}


def test_neighbours_are_found_where_borders_are_bright_and_almost_flat():
    tiles = [tile for seed in range(6) for tile in _cut(_field(seed, 128, 192), 2, 3)]
    assert _find([np.uint16(52_000) + np.uint16(2) * tile for tile in tiles]) == _find(tiles)


def test_a_long_border_is_thinned_but_still_known():
    images = _cut(_field(0, 64, 2 * LENGTH + 200), 1, 2)
    field = _field(3, 2 * LENGTH + 40, 96)
    images += _cut(field, 1, 2)
    assert kept(images[2].shape[0]) == 355
    assert _find(images) == {(0, 1), (2, 3)}


@pytest.mark.parametrize("count", [0, 1])
def test_one_image_or_none_has_no_neighbour(count):
    found = _neighbours([_field(0, 32, 32)] * count)
    assert (found.pairs, found.images, found.control) == ([], 0, 0)


def test_an_image_of_one_pixel_has_borders():
    assert not fingerprint(np.full((1, 1, 3), 9, np.uint8))["step"].any()


def test_the_step_inside_is_the_one_between_the_outer_two_lines():
    record = fingerprint(np.array([[0, 0, 1], [8, 8, 8], [3, 5, 7]], np.uint8)[..., None])
    values = dict(zip(SIDES, record["values"][:, :3], strict=True))
    assert record["step"][SIDES.index("top")] == pytest.approx(
        np.sqrt(np.mean((np.sqrt([8.375] * 3) - np.sqrt([0.375, 0.375, 1.375])) ** 2))
    )
    assert values["right"] == pytest.approx(np.sqrt([1.375, 8.375, 7.375]))
    assert values["bottom"] == pytest.approx(np.sqrt([3.375, 5.375, 7.375]))


def test_the_threshold_is_the_loosest_that_the_control_allows():
    pairs = np.arange(400).reshape(200, 2)
    found = Matches(pairs, np.linspace(0.1, 0.9, 200))
    assert loosest_threshold(found, Matches(pairs[:0], np.empty(0))) == 0.9
    two = Matches(pairs[:2], np.array([0.5, 0.7]))  # 4 images of 400 at 0.9
    assert loosest_threshold(found, two) == 0.9
    three = Matches(pairs[:3], np.array([0.5, 0.7, 0.8]))  # 6 of 400 at 0.9, 4 of 348 below 0.8, 2 of 300 below 0.7
    assert found.images(loosest_threshold(found, three)) == 300


def test_no_threshold_lets_strangers_through_where_the_control_finds_as_many():
    scores = Matches(np.arange(20).reshape(10, 2), np.linspace(0.3, 0.9, 10))
    assert loosest_threshold(scores, scores) == 0


def test_a_neighbour_in_two_pairs_is_one_image():
    assert Matches(np.array([[0, 1], [1, 2]]), np.array([0.1, 0.2])).images(0.2) == 3
