import numpy as np

from unetseg.dataset.arrays import tiles_file
from unetseg.dataset.subsets import TRUTH, Truth, packed
from unetseg.dataset.tiles import cut, whole
from unetseg.files import write_csv


def test_masks_of_any_size_are_read_back_as_they_were_written(tmp_path):
    rng = np.random.default_rng(0)
    masks = [rng.integers(0, 2, shape, np.uint8) for shape in ((3, 5), (8, 8), (1, 17), (30, 2))]
    np.save(tmp_path / TRUTH, np.concatenate([packed(mask) for mask in masks]))
    rows = [{"id": index, "height": mask.shape[0], "width": mask.shape[1]} for index, mask in enumerate(masks)]
    write_csv(tmp_path / "samples.csv", rows, list(rows[0]))
    truth = Truth(tmp_path)
    for index in (2, 0, 3, 1):
        np.testing.assert_array_equal(truth[index], masks[index])
    assert truth[0].dtype == np.bool_


def test_an_image_and_its_objects_are_put_together_from_its_tiles(tmp_path):
    rng = np.random.default_rng(0)
    images = {name: rng.integers(0, 255, (*shape, 3), np.uint8) for name, shape in (("a", (20, 37)), ("b", (5, 16)))}
    with tiles_file(tmp_path, 16) as add:
        for name, image in images.items():
            for tile in cut(name, image, image[..., 0] * np.uint16(256), 16):
                add(tile)
    pixels, labels = (whole(tmp_path, each) for each in ("tiles", "tile_labels"))
    for name, image in images.items():
        row = {"id": name, "height": str(image.shape[0]), "width": str(image.shape[1])}
        np.testing.assert_array_equal(pixels(row), image)
        np.testing.assert_array_equal(labels(row), image[..., 0] * np.uint16(256))
