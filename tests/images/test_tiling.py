import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unetseg.images.tiling import lay, lay_grid

lengths = st.integers(1, 300)


def brightness(tiles):
    return tiles.mean(axis=3, dtype=np.float32) / 255


def blend(rows, score, height, width, **options):
    grid = lay_grid(height, width, **options)
    return grid.join(grid.score(rows, score, top) for top in grid.down.starts)


def whole(image, score, **options):
    height, width = image.shape[:2]
    options = {"tile": 32, "overlap": 8, "multiple": 4, "batch_pixels": 4096, **options}
    return np.concatenate([*blend(lambda start, stop: image[start:stop], score, height, width, **options)])


@given(lengths, st.integers(2, 16), st.integers(0, 7), st.sampled_from([1, 4, 8]))
def test_tiles_cover_an_axis_on_the_grid_and_overlap_as_asked(length, blocks, overlap, multiple):
    axis = lay(length, blocks * 8, overlap, multiple)
    steps = np.diff(axis.starts)
    assert axis.starts[0] == 0
    assert axis.starts[-1] + axis.tile == axis.padded >= length > axis.padded - multiple
    assert all(start % multiple == 0 for start in axis.starts)
    assert (steps > 0).all()
    assert (steps <= axis.tile - overlap + multiple).all()
    assert (axis.total > 0).all()


@given(lengths, lengths)
def test_a_score_of_single_pixels_comes_through_blending_unchanged(height, width):
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    assert np.allclose(whole(image, brightness), brightness(image[None])[0], atol=1e-6)


def test_what_a_tile_says_at_its_border_hardly_counts():
    def only_borders(tiles):
        border = np.ones(tiles.shape[:3], np.float32)
        border[:, 4:-4, 4:-4] = 0
        return border

    image = np.zeros((100, 100, 3), np.uint8)
    assert whole(image, only_borders, overlap=16)[8:-8, 8:-8].max() < 0.05


def test_an_image_that_fits_is_scored_once_and_whole():
    shapes = []

    def remember(tiles):
        shapes.append(tiles.shape)
        return brightness(tiles)

    whole(np.zeros((21, 30, 3), np.uint8), remember)
    assert shapes == [(1, 24, 32, 3)]


def test_the_border_is_mirrored_up_to_the_models_multiple():
    seen = []

    def remember(tiles):
        seen.append(tiles)
        return brightness(tiles)

    image = np.arange(5 * 6 * 3, dtype=np.uint8).reshape(5, 6, 3)
    whole(image, remember)
    assert np.array_equal(seen[0][0], np.pad(image, ((0, 3), (0, 2), (0, 0)), "symmetric"))


@pytest.mark.parametrize(("batch_pixels", "most"), [(1, 1), (2 * 32 * 32, 2), (10**6, 5)])
def test_the_model_is_given_no_more_pixels_than_allowed_but_always_a_tile(batch_pixels, most):
    counts = []

    def count(tiles):
        counts.append(len(tiles))
        return brightness(tiles)

    whole(np.zeros((32, 128, 3), np.uint8), count, batch_pixels=batch_pixels)
    assert max(counts) == most
    assert sum(counts) == 5


def test_memory_holds_one_row_of_tiles_however_high_the_image_is():
    asked = []

    def rows(start, stop):
        asked.append((start, stop))
        return np.zeros((stop - start, 40, 3), np.uint8)

    strips = [len(strip) for strip in blend(rows, brightness, 3200, 40, tile=32, overlap=8, multiple=4, batch_pixels=1)]
    assert sum(strips) == 3200
    assert max(strips) <= 32
    assert all(stop - start <= 32 for start, stop in asked)
