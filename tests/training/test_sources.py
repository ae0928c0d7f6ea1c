import numpy as np
import pytest
from values import no_augmentation, train_settings

from unetseg.errors import InputError
from unetseg.files import write_csv
from unetseg.training.batches import PlainBatches, TrainingBatches, open_batches
from unetseg.training.sources import Sample, Tiles

COUNT = 12
FEED = train_settings(batch_size=3, seed=0, balance=0.0, border=0.0, crop_epochs=0)
IMAGES = np.arange(COUNT, dtype=np.uint8)[:, None, None, None] * np.ones((1, 4, 4, 3), np.uint8)
MASKS = np.arange(COUNT, dtype=np.uint16)[:, None, None] % 2 * np.full((1, 4, 4), 5, np.uint16)  # an object
SAMPLES = {
    0: Sample([0], (10.0, 1.0, 1.0)),
    1: Sample(range(1, 10), (11.0, 2.0, -1.0)),
    2: Sample([10, 11], (12.0, 3.0, 1.0)),
}
TILES = Tiles(IMAGES, MASKS, SAMPLES)


def training():
    return TrainingBatches(TILES, range(3), FEED, no_augmentation(), kinds="aaa")


def numbers(batch):
    return [round(float(image[0, 0, 0])) for image in batch[0]["tile"]]


def sample_of(tile):
    return next(index for index, sample in SAMPLES.items() if tile in sample.tiles)


def test_an_epoch_sees_one_tile_of_each_sample_and_in_time_all_of_them():
    batches, seen = training(), set()
    for _ in range(100):
        (batch,) = list(batches)
        assert sorted(map(sample_of, numbers(batch))) == [0, 1, 2]
        seen |= set(numbers(batch))
        batches.epoch += 1
    assert seen == set(range(COUNT))


def test_a_tile_comes_with_its_mask_and_with_the_statistics_of_its_sample():
    (inputs, masks) = training()[0]
    for tile, statistics, mask in zip(numbers((inputs, masks)), inputs["statistics"], masks, strict=True):
        assert tuple(statistics) == SAMPLES[sample_of(tile)].statistics
        np.testing.assert_array_equal(mask, np.full((4, 4, 1), tile % 2))


def test_each_epoch_can_be_had_again():
    batches, again = training(), training()
    batches.epoch += 1
    again.epoch = 1
    np.testing.assert_array_equal(batches[0][0]["tile"], again[0][0]["tile"])


def test_validation_sees_the_middle_tile_of_each_sample_in_order():
    batches = PlainBatches(TILES, range(3), batch_size=2)
    assert [numbers(batches[number]) for number in range(batches.num_batches)] == [[0, 5], [11]]
    assert batches[1][0]["statistics"].tolist() == [[12.0, 3.0, 1.0]]


@pytest.fixture
def data(tmp_path):
    np.save(tmp_path / "tiles.npy", IMAGES)
    np.save(tmp_path / "tile_labels.npy", MASKS)
    rows = [{"index": i, "id": f"s{sample_of(i)}", "mean": i, "deviation": 1, "polarity": 1} for i in range(COUNT)]
    write_csv(tmp_path / "tiles.csv", rows, list(rows[0]))
    rows = [{"index": i, "id": f"s{i}", "modality": "dark_grey"} for i in range(3)]
    write_csv(tmp_path / "samples.csv", rows, list(rows[0]))
    split = [{"id": f"s{i}", "subset": subset} for i, subset in enumerate(("train", "train", "validation"))]
    write_csv(tmp_path / "split.csv", split, list(split[0]))
    return tmp_path


def test_all_tiles_of_a_sample_are_in_its_subset(data):
    settings = train_settings(batch_size=1, seed=0, balance=0.5, border=0.0)
    train, validation = open_batches(
        data, data / "split.csv", mode="tiles", settings=settings, strength=no_augmentation()
    )
    assert train.indices.tolist() == [0, 1]
    assert validation.indices == [2]
    assert {index: list(sample.tiles) for index, sample in train.source.samples.items()} == {
        0: [0],
        1: list(range(1, 10)),
        2: [10, 11],
    }


def test_a_batch_larger_than_the_training_subset_is_said_in_a_line(data):
    with pytest.raises(InputError, match=r"train\.batch_size: 3 is more than the 2 training images"):
        open_batches(data, data / "split.csv", mode="tiles", settings=FEED, strength=no_augmentation())


def test_the_gaps_between_touching_objects_of_a_tile_weigh_more_if_asked_to():
    labels = np.repeat(np.array([[1, 1, 0, 2]], np.uint16), 4, axis=0)[None]
    tiles = Tiles(IMAGES[:1], labels, {0: SAMPLES[0]})
    settings = FEED.model_copy(update={"batch_size": 1, "border": 10.0})
    (_, truth) = TrainingBatches(tiles, range(1), settings, no_augmentation(), kinds="a")[0]
    np.testing.assert_array_equal(truth[0, :, :, 0], labels[0] > 0)
    assert (truth[0, :, 2, 1] > truth[0, :, 0, 1]).all()
