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
    channel=st.floats(0, 0.9), stain=st.floats(0, 0.9), blur=st.floats(0, 1), noise=st.floats(0, 1),
    invert=st.floats(0, 1),
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
    return augment(image, mask, (float(image.mean()), float(image.std())), strength, rng)[:2]


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


def test_flips_and_turns_reach_all_eight_positions_and_change_no_value():
    image, mask = np.arange(27, dtype=np.uint8).reshape(3, 3, 3), np.eye(3, dtype=np.uint8)
    strength = no_augmentation(flip=True, rotate90=True)
    seen = {varied(image, mask, strength, np.random.default_rng(seed))[0].round().tobytes() for seed in range(100)}
    assert len(seen) == 8


@pytest.mark.parametrize("name", ["brightness", "contrast", "gamma", "channel", "noise", "invert", "blur"])
def test_each_change_of_colour_changes_the_image_and_not_the_mask(name):
    image, mask = scene(0)
    image[::2] //= 2
    strength = no_augmentation(**{name: 1.0 if name in ("blur", "invert") else 0.5})
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
    known = float(image.mean()), float(image.std())
    strength = no_augmentation(**changed)
    after, _, statistics = augment(image, mask, known, strength, np.random.default_rng(0))
    assert np.abs(after - image).max() > 1
    assert statistics == pytest.approx((after.mean(), after.std()), rel=1e-4)


@pytest.mark.parametrize("changed", [{"contrast": 0.3, "brightness": 0.2}, {"invert": 1.0}])
def test_what_a_straight_line_does_to_a_tile_it_does_to_the_statistics_of_the_whole_image(changed):
    image, mask = gradient()  # the tile is the upper half
    tile, known = image[:16], (float(image.mean()), float(image.std()))
    strength = no_augmentation(**changed)
    after, _, (mean, deviation) = augment(tile, mask[:16], known, strength, np.random.default_rng(0))
    slope, shift = np.polyfit(tile.ravel().astype(float), after.ravel().astype(float), 1)
    assert mean == pytest.approx(slope * known[0] + shift, rel=1e-3)
    assert deviation == pytest.approx(abs(slope) * known[1], rel=1e-3)


def test_a_flat_tile_leaves_the_deviation_of_the_whole_image_as_it_is():
    flat, mask = np.full((8, 8, 3), 50, np.uint8), np.zeros((8, 8), np.uint8)
    strength = no_augmentation(noise=1.0, brightness=0.5)
    _, _, (_, deviation) = augment(flat, mask, (60.0, 20.0), strength, np.random.default_rng(0))
    assert deviation == 20
