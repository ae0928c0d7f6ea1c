import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.color import rgb2hed
from values import no_augmentation

from unetseg.training.augment import augment

NOTHING = no_augmentation()
STRENGTHS = st.builds(
    no_augmentation,
    flip=st.booleans(), rotate90=st.booleans(), scale=st.floats(0, 0.9), rotate=st.floats(0, 180),
    elastic=st.floats(0, 10), brightness=st.floats(0, 1), contrast=st.floats(0, 0.9), gamma=st.floats(0, 0.9),
    channel=st.floats(0, 0.9), stain=st.floats(0, 0.9), recolour=st.floats(0, 1), shading=st.floats(0, 1),
    statistics=st.floats(0, 4), blur=st.floats(0, 1), blur_pixels=st.floats(0, 4), shrink=st.floats(0, 1),
    noise=st.floats(0, 1), levels=st.floats(0, 1), jpeg=st.floats(0, 1), invert=st.floats(0, 1),
    negative=st.floats(0, 1),
)  # fmt: skip


def scene(seed, height=32, width=32):
    """Draw an image that shows its mask: 200 inside, 20 outside."""
    rng = np.random.default_rng(seed)
    mask = np.zeros((height, width), np.uint8)
    row, column = rng.integers(4, height - 12), rng.integers(4, width - 12)
    mask[row : row + 8, column : column + 6] = 1
    return np.repeat(np.where(mask, 200, 20).astype(np.uint8)[..., None], 3, -1), mask


def varied(image, mask, strength, rng):
    """Vary a whole image."""
    return augment(image, mask, (float(image.mean()), float(image.std()), 1.0), strength, rng)[:2]


def test_no_augmentation_leaves_everything_as_it_is():
    image, mask = scene(0)
    after, mask_after = varied(image, mask, NOTHING, np.random.default_rng(0))
    np.testing.assert_allclose(after, image, atol=1e-4)
    np.testing.assert_array_equal(mask_after, mask)


@settings(deadline=None)
@given(strength=STRENGTHS, seed=st.integers(0, 2**32), shape=st.sampled_from([(32, 32), (24, 40)]))
def test_shapes_types_and_ranges_hold_for_any_strength(strength, seed, shape):
    image, mask = scene(seed, *shape)
    after, mask_after = varied(image, mask, strength, np.random.default_rng(seed))
    assert after.shape == image.shape
    assert after.dtype == np.float32
    assert np.isfinite(after).all()
    assert after.min() >= 0
    assert after.max() <= 255
    assert set(np.unique(mask_after)) <= {0, 1}


@settings(deadline=None)
@given(seed=st.integers(0, 2**32), elastic=st.floats(0, 3))
def test_image_and_mask_stay_a_pair_under_any_deformation(seed, elastic):
    strength = no_augmentation(flip=True, rotate90=True, scale=0.3, rotate=45.0, elastic=elastic)
    image, mask = scene(seed)
    after, mask_after = varied(image, mask, strength, np.random.default_rng(seed))
    # Linear and nearest sampling differ at most where the nearest pixel is on the other side of an edge.
    disagreement = (after[..., 0] > 110) != (mask_after > 0)
    assert disagreement.mean() < 0.05
    if mask_after.sum() > 10:
        assert after[mask_after > 0].mean() > after[mask_after == 0].mean() + 80


@settings(deadline=None)
@given(strength=STRENGTHS, seed=st.integers(0, 2**32))
def test_the_same_seed_gives_the_same_variation(strength, seed):
    image, mask = scene(1)
    first = varied(image, mask, strength, np.random.default_rng(seed))
    second = varied(image, mask, strength, np.random.default_rng(seed))
    np.testing.assert_array_equal(first[0], second[0])
    np.testing.assert_array_equal(first[1], second[1])


def test_a_negative_has_nothing_to_find():
    image, mask = scene(2)
    strength = no_augmentation(negative=1.0)
    after, mask_after, statistics = augment(image, mask, (50.0, 20.0, 1.0), strength, np.random.default_rng(0))
    np.testing.assert_allclose(after, image, atol=1e-4)
    assert not mask_after.any()
    assert statistics == (50.0, 20.0, -1.0)


def test_flips_and_turns_reach_all_eight_positions_and_change_no_value():
    image, mask = np.arange(27, dtype=np.uint8).reshape(3, 3, 3), np.eye(3, dtype=np.uint8)
    strength = no_augmentation(flip=True, rotate90=True)
    seen = {varied(image, mask, strength, np.random.default_rng(seed))[0].round().tobytes() for seed in range(100)}
    assert len(seen) == 8


COLOURS = ["brightness", "contrast", "gamma", "channel", "noise", "invert", "blur", "shading", "jpeg"]


@pytest.mark.parametrize("name", COLOURS)
def test_each_change_of_colour_changes_the_image_and_not_the_mask(name):
    image, mask = scene(0)
    image[::2] //= 2
    strength = no_augmentation(**{"blur_pixels": 1.0, name: 1.0 if name in ("blur", "invert", "jpeg") else 0.5})
    after, mask_after = varied(image, mask, strength, np.random.default_rng(3))
    assert np.abs(after - image).max() > 1
    np.testing.assert_array_equal(mask_after, mask)


def test_stains_vary_in_coloured_images_only_and_by_their_amounts():
    image, mask = np.full((8, 8, 3), (180, 120, 200), np.uint8), np.zeros((8, 8), np.uint8)
    strength = no_augmentation(stain=0.5)
    seen = np.stack([varied(image, mask, strength, np.random.default_rng(seed))[0][0, 0] for seed in range(50)])
    amounts = rgb2hed(seen[None] / 255)[0] / rgb2hed(image[:1, :1] / 255)[0]
    assert seen.std(axis=0).min() > 1
    assert 0.45 < amounts[:, 0].min() < amounts[:, 0].max() < 1.55
    for colour in ((10, 100, 10), (240, 200, 210)):  # of no mixture of the three
        image[:] = colour
        almost = no_augmentation(stain=1e-6)
        np.testing.assert_allclose(varied(image, mask, almost, np.random.default_rng(0))[0], image, atol=0.1)
    grey = image[..., :1].repeat(3, -1)
    np.testing.assert_allclose(varied(grey, mask, strength, np.random.default_rng(0))[0], grey, atol=1e-3)


def test_a_flat_image_stays_finite():
    image, mask = np.full((8, 8, 3), 7, np.uint8), np.zeros((8, 8), np.uint8)
    strength = no_augmentation(gamma=0.9, noise=1.0, channel=0.9)
    assert np.isfinite(varied(image, mask, strength, np.random.default_rng(0))[0]).all()


def gradient():
    """Draw an image of values from 64 to 191, so that little is clipped, brighter from top to bottom."""
    image = np.repeat(np.linspace(64, 191, 32 * 32).reshape(32, 32).astype(np.uint8)[..., None], 3, -1)
    return image, (image[..., 0] > 100).astype(np.uint8)


@pytest.mark.parametrize("changed", [{"contrast": 0.3, "brightness": 0.2}, {"invert": 1.0}, {"gamma": 0.5}])
def test_a_tile_that_is_the_whole_image_gets_its_own_statistics_however_it_is_recoloured(changed):
    image, mask = gradient()
    known = float(image.mean()), float(image.std()), 1.0
    strength = no_augmentation(**changed)
    after, _, statistics = augment(image, mask, known, strength, np.random.default_rng(0))
    assert np.abs(after - image).max() > 1
    assert statistics == pytest.approx((after.mean(), after.std(), -1 if "invert" in changed else 1), rel=1e-4)


@pytest.mark.parametrize("changed", [{"contrast": 0.3, "brightness": 0.2}, {"invert": 1.0}])
def test_what_a_straight_line_does_to_a_tile_it_does_to_the_statistics_of_the_whole_image(changed):
    image, mask = gradient()  # the tile is the upper half
    tile, known = image[:16], (float(image.mean()), float(image.std()), -1.0)
    strength = no_augmentation(**changed)
    after, _, (mean, deviation, polarity) = augment(tile, mask[:16], known, strength, np.random.default_rng(0))
    slope, shift = np.polyfit(tile.ravel().astype(float), after.ravel().astype(float), 1)
    assert mean == pytest.approx(slope * known[0] + shift, rel=1e-3)
    assert deviation == pytest.approx(abs(slope) * known[1], rel=1e-3)
    assert polarity == -np.sign(slope)


def test_a_flat_tile_leaves_the_deviation_of_the_whole_image_as_it_is():
    flat, mask = np.full((8, 8, 3), 50, np.uint8), np.zeros((8, 8), np.uint8)
    strength = no_augmentation(noise=1.0, brightness=0.5)
    _, _, (_, deviation, _) = augment(flat, mask, (60.0, 20.0, 1.0), strength, np.random.default_rng(0))
    assert deviation == 20


def test_statistics_vary_by_their_share_and_the_image_does_not():
    image, mask = scene(0)
    known = (float(image.mean()), float(image.std()), -1.0)
    strength = no_augmentation(statistics=1.0)
    drawn = [augment(image, mask, known, strength, np.random.default_rng(seed)) for seed in range(50)]
    ratios = np.array([deviation / known[1] for _, _, (_, deviation, _) in drawn])
    assert 0.5 <= ratios.min() < 0.6
    assert 1.7 < ratios.max() <= 2
    assert all(polarity == -1 for _, _, (_, _, polarity) in drawn)
    np.testing.assert_allclose(drawn[0][0], image, atol=1e-4)


def test_a_grey_image_is_tinted_on_black_or_on_white_by_where_its_objects_are():
    image, mask = scene(0)
    strength = no_augmentation(recolour=1.0)
    for polarity, shown in ((1.0, image), (-1.0, 255 - image)):
        after = augment(shown, mask, (0.0, 1.0, polarity), strength, np.random.default_rng(0))[0]
        assert np.ptp(after[mask > 0].mean(axis=0)) > 20
        assert np.ptp(after[mask == 0].mean(axis=0)) < 20  # nearly black, or nearly white
        assert (after[mask == 0].mean() < 128) == (polarity > 0)


def test_a_coloured_image_turns_grey_or_its_channels_change_places():
    image, mask = np.tile(np.array([200, 100, 20], np.uint8), (8, 8, 1)), np.zeros((8, 8), np.uint8)
    strength = no_augmentation(recolour=1.0)
    seen = [varied(image, mask, strength, np.random.default_rng(seed))[0][0, 0] for seed in range(40)]
    grey = [colour for colour in seen if np.ptp(colour) < 1e-3]
    assert 10 < len(grey) < 30
    assert {tuple(np.sort(colour.round())) for colour in seen if np.ptp(colour) >= 1e-3} == {(20, 100, 200)}


@pytest.mark.parametrize("size", [8, 16, None])
@pytest.mark.parametrize("zoom", [0.0, 1.0])
def test_a_part_has_the_size_asked_for_and_is_a_pair_with_its_mask(size, zoom):
    image, mask = scene(0)
    strength = no_augmentation(scale=zoom)
    after, mask_after, _ = augment(image, mask, (0.0, 1.0, 1.0), strength, np.random.default_rng(1), size)
    assert after.shape == (*mask_after.shape, 3) == (size or 32, size or 32, 3)
    assert ((after[..., 0] > 110) != (mask_after > 0)).mean() < 0.05


def test_few_grey_levels_are_left_and_less_detail():
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 1)).repeat(3, -1).astype(np.uint8)
    mask = np.zeros((64, 64), np.uint8)
    levels = varied(image, mask, no_augmentation(levels=1.0), np.random.default_rng(0))[0]
    assert 8 <= len(np.unique(levels.round(2))) <= 65
    shrunk = varied(image, mask, no_augmentation(shrink=1.0), np.random.default_rng(0))[0]
    assert shrunk.std() < 0.9 * image.std()
