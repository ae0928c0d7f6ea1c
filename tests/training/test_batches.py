import threading

import numpy as np
import pytest
from values import no_augmentation, train_settings

from unetseg.training.batches import PlainBatches, TrainingBatches
from unetseg.training.sources import WholeImages

IMAGES = np.arange(10, dtype=np.uint8)[:, None, None, None] * np.ones((1, 4, 4, 3), np.uint8)
MASKS = np.arange(10, dtype=np.uint8)[:, None, None] % 2 * np.ones((1, 4, 4), np.uint8)


def training(**changed):
    indices, kinds = changed.pop("indices", range(10)), changed.pop("kinds", ["a"] * 10)
    return batches_of(WholeImages(IMAGES, MASKS), indices, kinds, **changed)


def batches_of(source, indices, kinds=(), **changed):
    settings = {"batch_size": 3, "seed": 0, "balance": 0.0, "border": 0.0, "crop_epochs": 0} | changed
    return TrainingBatches(source, indices, train_settings(**settings), no_augmentation(), kinds=kinds)


def numbers(batches):
    return [round(float(image[0, 0, 0])) for batch in batches for image in batch[0]["tile"]]


def test_a_batch_holds_raw_values_and_masks_that_belong_to_them():
    inputs, masks = training()[0]
    images = inputs["tile"]
    assert images.shape == (3, 4, 4, 3)
    assert masks.shape == (3, 4, 4, 1)
    assert images.dtype == masks.dtype == np.float32
    np.testing.assert_allclose(images[:, 0, 0, 0].round() % 2, masks[:, 0, 0, 0])


def test_an_epoch_sees_no_sample_twice_and_leaves_out_less_than_a_batch():
    seen = numbers(training())
    assert len(seen) == len(set(seen)) == 9


def test_epochs_differ_and_each_can_be_had_again():
    batches, again = training(), training()
    first = numbers(batches)
    batches.epoch += 1
    second = numbers(batches)
    again.epoch = 1
    assert first != second
    assert numbers(again) == second


def test_a_batch_that_was_begun_while_another_was_used_is_the_batch_of_its_epoch():
    in_order = training(crop=2, crop_epochs=1, epochs=9)
    for batches_before in range(in_order.num_batches):
        batches = training(crop=2, crop_epochs=1, epochs=9)
        assert [batches[number][0]["tile"].shape for number in range(batches_before)] == [(3, 2, 2, 3)] * batches_before
        batches.epoch = in_order.epoch = 1  # as in a training that ended an epoch early, or begins the next one
        for number in range(in_order.num_batches):
            np.testing.assert_array_equal(batches[number][0]["tile"], in_order[number][0]["tile"])


def test_the_next_batch_is_made_while_one_is_used():
    class Watched(WholeImages):
        def example(self, index, rng=None):
            asked.release()
            return super().example(index, rng)

    asked = threading.Semaphore(0)
    batches = batches_of(Watched(IMAGES, MASKS), range(10), ["a"] * 10)
    _ = batches[0]
    assert all(asked.acquire(timeout=60) for _ in range(6))
    _ = batches[1]
    assert all(asked.acquire(timeout=60) for _ in range(3))
    _ = batches[2]
    assert not asked.acquire(timeout=0.05)  # none is made twice, and no batch follows the last


@pytest.mark.parametrize(("crop_epochs", "sizes"), [(0, [4, 4]), (2, [2, 4]), (9, [2, 2])])
def test_before_the_first_epoch_two_batches_show_the_sizes_that_will_come(crop_epochs, sizes):
    batches = training(crop=2, crop_epochs=crop_epochs, epochs=9)
    batches.begun = False
    assert [batches[number][0]["tile"].shape for number in range(2)] == [(3, size, size, 3) for size in sizes]


def test_only_the_samples_asked_for_are_used():
    assert set(numbers(training(indices=[2, 5, 7], batch_size=1))) == {2, 5, 7}


def test_full_balance_draws_rare_kinds_as_often_as_common_ones():
    kinds = ["common"] * 9 + ["rare"]
    drawn = []
    batches = training(batch_size=10, kinds=kinds, balance=1.0)
    for batches.epoch in range(200):
        drawn += list(batches.order())
    assert np.mean(np.array(drawn) == 9) == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("balance", [0.0, 0.5])
def test_the_order_of_an_epoch_is_drawn_once_for_all_its_batches(balance):
    batches = training(kinds=["a"] * 9 + ["b"], balance=balance)
    first = batches.order()
    drawn = [index for number in range(3) for index, _ in batches.draw(number)]
    assert drawn == first[:9].tolist()
    assert batches.order() is first
    batches.epoch = 1
    assert not np.array_equal(batches.order(), first)
    batches.epoch = 0
    assert np.array_equal(batches.order(), first)


def test_no_balance_uses_each_sample_once():
    batches = training(kinds=["a"] * 9 + ["b"], balance=0.0)
    assert sorted(batches.order()) == list(range(10))


def test_more_samples_a_batch_than_there_are_is_an_error():
    with pytest.raises(ValueError, match=r"batch_size: 11 is more than the 10 training images"):
        training(batch_size=11)


def test_with_border_the_truth_has_the_weight_of_gaps_between_objects_beside_the_mask():
    labels = np.zeros((10, 4, 4), np.uint16)
    labels[:, :, 0], labels[:, :, 3] = 1, 2
    batches = batches_of(WholeImages(IMAGES, labels), [0, 1], batch_size=2, border=10.0)
    truth = batches[0][1]
    np.testing.assert_array_equal(truth[..., 0], labels[:2] > 0)
    np.testing.assert_allclose(truth[..., 1], np.where(labels[:2] > 0, 0, 10 * np.exp(-(3**2) / 50)), rtol=1e-3)


def test_validation_sees_every_sample_once_in_order():
    batches = PlainBatches(WholeImages(IMAGES, MASKS), [3, 1, 4, 9, 5], batch_size=2)
    assert batches.num_batches == 3
    assert numbers(batches) == [3, 1, 4, 9, 5]


def test_images_come_with_their_mean_deviation_and_polarity():
    images = np.random.default_rng(0).integers(0, 255, (2, 4, 4, 3)).astype(np.uint8)
    for batches in (
        PlainBatches(WholeImages(images, MASKS[:2]), [0, 1], batch_size=2),
        batches_of(WholeImages(images, MASKS[:2]), [0, 1], batch_size=2),
    ):
        inputs, _ = batches[0]
        expected = np.stack([inputs["tile"].mean((1, 2, 3)), inputs["tile"].std((1, 2, 3)), [1, 1]], axis=1)
        np.testing.assert_allclose(inputs["statistics"], expected, rtol=1e-4)


def test_the_first_epochs_see_parts_at_random_places_with_the_statistics_of_the_whole():
    image = np.arange(16 * 16 * 3, dtype=np.float32).reshape(1, 16, 16, 3).astype(np.uint8)
    mask = (image[..., 0] > 127).astype(np.uint8)
    batches = batches_of(WholeImages(image, mask), [0], batch_size=1, crop=8, crop_epochs=30)
    places = set()
    for _ in range(30):
        inputs, truth = batches[0]
        tile = inputs["tile"][0].round().astype(np.uint8)
        np.testing.assert_array_equal(truth[0, ..., 0], tile[..., 0] > 127)
        np.testing.assert_allclose(inputs["statistics"], [[image.mean(), image.std(), 1]], rtol=1e-4)
        places |= {(r, c) for r in range(9) for c in range(9) if (image[0, r : r + 8, c : c + 8] == tile).all()}
        batches.epoch += 1
    assert len(places) > 15
    assert batches[0][0]["tile"].shape == (1, 16, 16, 3)
