import cv2
import numpy as np
import pytest

from unetseg.dataset.arrays import write_arrays
from unetseg.dataset.tiles import cut
from unetseg.files import read_csv


def places(height, width, size):
    tiles = cut("a", np.zeros((height, width, 3), np.uint8), np.zeros((height, width), np.uint16), size)
    return [(tile.row["row"], tile.row["column"]) for tile in tiles]


def test_the_grid_is_what_was_worked_out_by_hand():
    assert places(8, 8, 8) == [(0, 0)]
    assert places(8, 20, 8) == [(0, 0), (0, 6), (0, 12)]
    assert places(9, 9, 8) == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert len(places(1040, 1388, 256)) == 30


def test_every_pixel_of_a_larger_sample_is_in_a_tile_where_it_was():
    rng = np.random.default_rng(0)
    image, labels = rng.integers(0, 256, (21, 13, 3), np.uint8), rng.integers(0, 3, (21, 13)).astype(np.uint16)
    seen = np.zeros(labels.shape, int)
    for tile in cut("a", image, labels, 8):
        square = np.s_[tile.row["row"] :, tile.row["column"] :]
        np.testing.assert_array_equal(tile.image, image[square][:8, :8])
        np.testing.assert_array_equal(tile.labels, labels[square][:8, :8])
        seen[square][:8, :8] += 1
    assert seen.min() == 1


def test_a_smaller_sample_is_mirrored_at_its_lower_and_right_border():
    image = np.arange(6, dtype=np.uint8).reshape(2, 3)
    (tile,) = cut("a", np.dstack([image] * 3), (image > 3).astype(np.uint16), 4)
    assert tile.image[..., 0].tolist() == [[0, 1, 2, 2], [3, 4, 5, 5], [3, 4, 5, 5], [0, 1, 2, 2]]
    assert tile.labels.tolist() == [[0, 0, 0, 0], [0, 1, 1, 1], [0, 1, 1, 1], [0, 0, 0, 0]]


def test_tiles_know_the_mean_and_deviation_of_the_whole_image_without_what_was_mirrored():
    image = np.dstack([np.array([[0, 0, 0, 0, 0, 0, 0, 200]], np.uint8)] * 3)
    for tile in cut("a", image, np.zeros((1, 8), np.uint16), 4):
        assert tile.row["mean"] == 25
        assert tile.row["deviation"] == pytest.approx(((7 * 25**2 + 175**2) / 8) ** 0.5)


def test_tiles_are_written_beside_arrays_that_stay_as_they_are(tmp_path):
    for name, side in (("a", 8), ("b", 20)):
        for part in ("images", "masks"):
            (tmp_path / "in" / name / part).mkdir(parents=True)
            cv2.imwrite(str(tmp_path / "in" / name / part / "1.png"), 255 * np.eye(side, dtype=np.uint8))
    for out, tiles in (("plain", False), ("tiled", True)):
        write_arrays(tmp_path / "in", tmp_path / out, size=8, skip_bad=False, tiles=tiles)
    plain = {path.name: path.read_bytes() for path in (tmp_path / "plain").iterdir()}
    tiled = {path.name: path.read_bytes() for path in (tmp_path / "tiled").iterdir()}
    assert sorted(plain) == ["fingerprints.npy", "images.npy", "labels.npy", "masks.npy", "samples.csv", "truth.npy"]
    assert sorted(tiled.keys() - plain.keys()) == ["tile_labels.npy", "tiles.csv", "tiles.npy"]
    assert plain.items() <= tiled.items()
    rows = read_csv(tmp_path / "tiled" / "tiles.csv")
    assert [row["id"] for row in rows] == ["a", *"b" * 9]
    assert [row["index"] for row in rows] == [str(index) for index in range(10)]
    images, labels = (np.load(tmp_path / "tiled" / f"{name}.npy") for name in ("tiles", "tile_labels"))
    assert images.shape == (10, 8, 8, 3)
    np.testing.assert_array_equal(images[..., 0], (labels > 0) * 255)
