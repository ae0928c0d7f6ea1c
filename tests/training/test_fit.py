import functools
import shutil

import numpy as np
import pytest
from values import PARAMS, model_settings, no_augmentation, small_unet, train_settings

from unetseg.errors import STOPPED, InputError
from unetseg.files import write_csv
from unetseg.model import keras
from unetseg.model.file import save_model
from unetseg.training import losses
from unetseg.training.batches import open_batches
from unetseg.training.checkpoint import load_state
from unetseg.training.fit import compile_unet, train

SMALL = {"base_filters": 4, "max_filters": 8, "depth": 1}
TRAIN = {
    "batch_size": 3, "balance": 0.5, "border": 0.0, "crop": 16, "crop_epochs": 0, "epochs": 3, "learning_rate": 0.01,
    "schedule": "cosine", "warmup_epochs": 1.0, "loss": "bce_dice", "clip_norm": 1.0, "ema": 0.5, "patience": 9,
    "jit_compile": False, "seed": 0, "start_from": "",
}  # fmt: skip


@pytest.fixture
def data(tmp_path):
    return write_data(tmp_path)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Train without a kill, once for the same changes; give the model, its history and the folder of its data.

    Beside the state is what it was after each epoch: `after1` and so on.
    """

    @functools.cache
    def train_once(**changed):
        data = write_data(tmp_path_factory.mktemp("whole"))
        return *run(data, data / "state", **changed, callbacks=[keeping(data / "state")]), data

    return train_once


def write_data(folder):
    """Write eight images of a bright square on dark noise, six to train on and two to validate with."""
    rng = np.random.default_rng(0)
    masks = np.zeros((8, 32, 32), np.uint8)
    for mask in masks:
        row, column = rng.integers(2, 18, 2)
        mask[row : row + 12, column : column + 10] = 1
    images = rng.integers(0, 60, (8, 32, 32, 3)) + 120 * masks[..., None]
    np.save(folder / "images.npy", images.astype(np.uint8))
    np.save(folder / "masks.npy", masks)
    rows = [{"index": i, "id": f"s{i}", "modality": "dark_grey"} for i in range(8)]
    write_csv(folder / "samples.csv", rows, list(rows[0]))
    split = [{"id": f"s{i}", "subset": "train" if i < 6 else "validation"} for i in range(8)]
    write_csv(folder / "split.csv", split, list(split[0]))
    return folder


def run(data, state, *, mode="resize", size=32, model=SMALL, augment=PARAMS.augment, callbacks=(), **changed):
    keras.backend.clear_session()
    settings, shape = train_settings(**TRAIN | changed), model_settings(**model)
    batches = open_batches(data, data / "split.csv", mode=mode, settings=settings, strength=augment)
    return train(*batches, size=size, model=shape, settings=settings, state=state, callbacks=callbacks)


@pytest.mark.slow
def test_training_with_weighted_gaps_learns_too(data, tmp_path):
    np.save(data / "labels.npy", np.load(data / "masks.npy").astype(np.uint16))
    _, history = run(data, tmp_path / "state", border=10.0)
    assert history.epochs[-1]["loss"] < history.epochs[0]["loss"]


def run_tiles(data, state, **changed):
    """Train on the same images cut into four tiles each."""
    images, masks = np.load(data / "images.npy"), np.load(data / "masks.npy")
    rows, tiles = [], []
    for index, image in enumerate(images):
        for row in (0, 16):
            for column in (0, 16):
                tiles.append(np.s_[index, row : row + 16, column : column + 16])
                known = {"mean": image.mean(), "deviation": image.std(), "polarity": 1.0}
                rows.append({"index": len(rows), "id": f"s{index}", **known})
    np.save(data / "tiles.npy", np.stack([images[tile] for tile in tiles]))
    np.save(data / "tile_labels.npy", np.stack([masks[tile] for tile in tiles]).astype(np.uint16))
    write_csv(data / "tiles.csv", rows, list(rows[0]))
    return run(data, state, mode="tiles", size=16, **changed)


def killed(after):
    """Die when so many epochs are over and the state of the last is saved."""

    def end(epoch, _logs=None):
        if epoch + 1 == after:
            raise KeyboardInterrupt

    return keras.callbacks.LambdaCallback(on_epoch_end=end)


def keeping(state):
    """Copy the state after each epoch, which a training that is killed then would leave."""

    def copy(epoch, _logs=None):
        shutil.copytree(state, state.with_name(f"after{epoch + 1}"))

    return keras.callbacks.LambdaCallback(on_epoch_end=copy)


def without_seconds(history):
    return [{name: value for name, value in row.items() if name != "seconds"} for row in history.epochs]


def assert_same_bits(first, second):
    assert without_seconds(first[1]) == without_seconds(second[1])
    assert first[1].best_epoch == second[1].best_epoch
    for ours, theirs in zip(first[0].get_weights(), second[0].get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.slow
def test_a_training_goes_on_to_the_same_bits_however_often_it_is_killed(data, whole):
    for after in (1, 2):
        with pytest.raises(KeyboardInterrupt):
            run(data, data / "killed", crop_epochs=2, callbacks=[killed(after)])
    assert_same_bits(whole(crop_epochs=2), run(data, data / "killed", crop_epochs=2))


@pytest.mark.slow
@pytest.mark.parametrize("changed", [{"ema": 0.0}, {"crop_epochs": 1, "batch_size": 6}])
def test_a_training_goes_on_to_the_same_bits_from_the_state_that_a_kill_leaves(whole, tmp_path, changed):
    *expected, data = whole(**changed)
    shutil.copytree(data / "after2", tmp_path / "state")
    assert_same_bits(expected, run(data, tmp_path / "state", **changed))


def test_a_training_stops_at_the_next_batch_where_a_library_dropped_the_interrupt(data):
    STOPPED.set()
    try:
        with pytest.raises(KeyboardInterrupt):
            run(data, data / "stopped")
    finally:
        STOPPED.clear()
    assert not [*(data / "stopped").glob("epoch-*")]


@pytest.mark.slow
@pytest.mark.usefixtures("compiled")
def test_a_compiled_training_on_crops_and_tiles_learns_and_resumed_gives_the_same_bits(data):
    changed = {"epochs": 12, "crop": 8, "crop_epochs": 4}
    whole = run_tiles(data, data / "whole", **changed, callbacks=[keeping(data / "whole")])
    assert whole[1].best_dice > 0.8
    assert whole[0].input_shape == (None, 16, 16, 3)
    assert_same_bits(whole, run_tiles(data, data / "after4", **changed))


@pytest.mark.slow
def test_the_averages_are_validated_and_kept_and_the_training_goes_on_without_them(whole):
    model, history, data = whole()
    _, arrays = load_state(data / "state")
    assert any((ours != theirs).any() for ours, theirs in zip(arrays["weights"], arrays["trained"], strict=True))
    keras.utils.set_random_seed(TRAIN["seed"])
    start = small_unet(32, **SMALL).get_weights()
    assert all((ours != theirs).any() for ours, theirs in zip(arrays["trained"], start, strict=True))
    assert history.best_epoch == len(history.epochs)
    for ours, theirs in zip(model.get_weights(), arrays["weights"], strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.slow
@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="JAX compiles for each size")
@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize(("batch_size", "times"), [(3, 1), (6, 2)])
def test_crops_and_whole_images_are_compiled_once_where_there_are_two_batches(data, monkeypatch, batch_size, times):
    seen = []

    def loss(truth, predicted):
        seen.append(truth.shape)
        return losses.bce(truth, predicted)

    monkeypatch.setattr(losses, "bce_dice", loss)
    run(data, data / "state", crop_epochs=1, epochs=2, batch_size=batch_size)
    assert len(seen) == times + 1  # and once for validation


@pytest.mark.slow
def test_epochs_of_crops_only_train_too(data):
    _, history = run(data, data / "state", crop_epochs=99, epochs=2)
    assert [row["epoch"] for row in history.epochs] == [1, 2]


@pytest.mark.slow
def test_a_training_stopped_among_its_crops_does_not_go_on_to_whole_images(data):
    stop = keras.callbacks.LambdaCallback(on_epoch_end=lambda *_, **__: setattr(stop.model, "stop_training", True))
    _, history = run(data, data / "state", crop_epochs=3, callbacks=[stop])
    assert len(history.epochs) == 1


@pytest.mark.slow
def test_a_training_killed_after_its_last_epoch_is_not_trained_again(whole, monkeypatch):
    data = whole()[2]
    monkeypatch.setattr(keras.Model, "fit", lambda *_, **__: pytest.fail("trained again"))
    assert_same_bits(whole(), run(data, data / "state"))


@pytest.mark.slow
def test_a_resumed_training_has_the_patience_that_was_left(data):
    arguments = {"epochs": 8, "patience": 2, "learning_rate": 1e-9, "ema": 0.0, "schedule": "constant"}
    arguments["model"] = SMALL | {"normalization": "none"}  # which without learning leaves Dice as it is
    whole = run(data, data / "whole", **arguments, callbacks=[keeping(data / "whole")])
    assert len(whole[1].epochs) < 8
    assert_same_bits(whole, run(data, data / "after2", **arguments))


@pytest.mark.slow
@pytest.mark.usefixtures("compiled")
def test_eight_tiny_samples_are_learned_by_heart(data):
    images, masks = np.load(data / "images.npy"), np.load(data / "masks.npy")
    np.save(data / "images.npy", np.concatenate([images, images]))
    np.save(data / "masks.npy", np.concatenate([masks, masks]))
    rows = [{"index": i, "id": f"s{i}", "modality": "dark_grey"} for i in range(16)]
    write_csv(data / "samples.csv", rows, list(rows[0]))
    split = [{"id": f"s{i}", "subset": "train" if i < 8 else "validation"} for i in range(16)]
    write_csv(data / "split.csv", split, list(split[0]))
    _, history = run(data, data / "state", augment=no_augmentation(), batch_size=2, epochs=15, ema=0.0, patience=15)
    assert history.best_dice > 0.95


@pytest.mark.slow
def test_the_best_epoch_is_the_one_with_the_highest_validation_dice(whole):
    model, history, _ = whole(ema=0.0)
    assert history.epochs[history.best_epoch - 1]["val_dice"] == max(row["val_dice"] for row in history.epochs)
    for ours, theirs in zip(model.get_weights(), history.best_weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.slow
def test_a_loss_that_is_no_number_is_said_in_a_line(data, monkeypatch):
    monkeypatch.setattr(
        "unetseg.training.losses.bce", lambda _truth, predicted: keras.ops.mean(predicted, (1, 2, 3)) * float("nan")
    )
    with pytest.raises(InputError, match=r"epoch \d: the loss is nan: try a smaller train.learning_rate"):
        run(data, data / "state", loss="bce", ema=0.0)


@pytest.mark.slow
def test_a_collapse_to_all_background_is_said_in_a_line(data, monkeypatch):
    monkeypatch.setattr("unetseg.training.losses.bce", lambda _truth, predicted: keras.ops.mean(predicted, (1, 2, 3)))
    with pytest.raises(InputError, match="validation Dice stayed 0 for 2 epochs, the model predicts all background"):
        run(
            data,
            data / "state",
            loss="bce",
            patience=2,
            ema=0.0,
            learning_rate=0.5,
            model=SMALL | {"normalization": "none"},
        )


def test_a_batch_larger_than_the_training_subset_is_said_in_a_line(data):
    with pytest.raises(InputError, match=r"train\.batch_size: 7 is more than the 6 training images"):
        run(data, data / "state", batch_size=7)


@pytest.mark.slow
def test_a_training_can_start_from_a_model_of_another_size_but_not_of_another_shape(data, tmp_path):
    model = small_unet(size=16, **SMALL)
    save_model(tmp_path / "m.keras", model, {"trained_with": {"model": {"depth": 1}}})
    still = {"learning_rate": 1e-12, "schedule": "constant", "epochs": 1, "ema": 0.0}
    tuned, _ = run(data, data / "second", start_from=str(tmp_path / "m.keras"), **still)
    np.testing.assert_allclose(tuned.trainable_weights[0], model.trainable_weights[0], atol=1e-6)
    with pytest.raises(InputError, match=r"has a different shape: model\.depth is 1 there and 2 here"):
        run(data, data / "third", start_from=str(tmp_path / "m.keras"), model={**SMALL, "depth": 2})
    save_model(tmp_path / "m.keras", model, {"trained_with": {"model": {"activation": "gelu"}}})
    with pytest.raises(InputError, match=r"m\.keras computes in another way: model\.activation is gelu there and relu"):
        run(data, data / "third", start_from=str(tmp_path / "m.keras"))


@pytest.mark.parametrize(("schedule", "last"), [("constant", 0.1), ("cosine", 0.0)])
def test_the_learning_rate_rises_with_both_schedules(schedule, last):
    learner = small_unet(residual=False, depth=1)
    settings = train_settings(**TRAIN | {"schedule": schedule, "warmup_epochs": 2.0, "learning_rate": 0.1})
    compile_unet(learner, settings, steps=5)
    rate = learner.optimizer._learning_rate
    assert [float(rate(step)) for step in (0, 5, 10, 20)] == pytest.approx([0.01, 0.0505, 0.1, last], abs=0.006)


@pytest.mark.slow
def test_the_history_has_a_row_an_epoch(whole):
    _, history, _ = whole()
    assert list(history.epochs[0]) == ["epoch", "loss", "dice", "val_loss", "val_dice", "learning_rate", "seconds"]
    assert [row["epoch"] for row in history.epochs] == [1, 2, 3]
