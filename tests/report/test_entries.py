import numpy as np

from unetseg.files import write_csv
from unetseg.report import entries


def test_scored_images_come_in_the_order_of_their_rows_each_with_its_own_arrays(tmp_path):
    names = ["a", "b", "c", "d"]
    numbers = np.arange(4, dtype=np.uint8)
    np.save(tmp_path / "images.npy", np.broadcast_to(numbers[:, None, None, None], (4, 8, 8, 3)))
    np.save(tmp_path / "masks.npy", np.broadcast_to(numbers[:, None, None] % 2, (4, 8, 8)))
    write_csv(tmp_path / "samples.csv", [{"index": i, "id": name} for i, name in enumerate(names)], ["index", "id"])
    write_csv(tmp_path / "ids.csv", [{"index": 0, "id": "b"}, {"index": 1, "id": "d"}], ["index", "id"])
    probabilities = np.array([0.5, 0.49], np.float32)
    np.save(tmp_path / "probabilities.npy", np.broadcast_to(probabilities[:, None, None], (2, 8, 8)))
    rows = [
        {"id": name, "dice": dice, "objects": "9", "objects_true": "8"} for name, dice in (("d", "0.1"), ("b", "0.9"))
    ]
    last, first = entries.scored_entries(tmp_path, tmp_path, rows, 0.5)
    assert (last.id, first.id) == ("d", "b")
    assert (last.image.max(), first.image.max()) == (3, 1)
    assert (last.mask.max(), first.mask.min()) == (0, 1)
    assert last.truth.min() == first.truth.min() == 1
    assert first.scores == {"dice": "0.9", "objects": "8", "uncertainty": 1.0}


def test_a_dark_image_is_stretched_and_a_bright_one_keeps_its_black():
    ramp = np.repeat(np.linspace(0, 1, 1000)[:, None, None], 3, axis=2)
    dark = entries.stretched((10 + 30 * ramp).astype(np.uint8))
    bright = entries.stretched((90 + 165 * ramp).astype(np.uint8))

    assert (dark.min(), dark.max()) == (0, 255)
    assert bright.min() >= 85


def test_a_constant_image_is_not_divided_by_zero():
    assert entries.stretched(np.full((4, 4, 3), 9, np.uint8)).max() == 0
