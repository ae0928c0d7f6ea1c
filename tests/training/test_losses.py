import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from unetseg.model import keras
from unetseg.training.losses import bce, bce_dice, dice, soft_dice_loss

MASKS = arrays(np.float32, (2, 4, 4, 1), elements=st.sampled_from([0.0, 1.0]))


def of(function, truth, predicted):
    return keras.ops.convert_to_numpy(function(keras.ops.array(truth), keras.ops.array(predicted)))


@settings(deadline=None)
@given(truth=MASKS, predicted=MASKS)
def test_dice_is_twice_the_overlap_over_the_sum_for_each_image(truth, predicted):
    for got, t, p in zip(of(dice, truth, predicted), truth > 0, predicted > 0, strict=True):
        expected = 2 * (t & p).sum() / (t.sum() + p.sum()) if t.any() or p.any() else 1
        assert got == pytest.approx(expected, abs=1e-6)


def test_empty_against_empty_is_a_dice_of_one_and_a_loss_of_nothing():
    nothing = np.zeros((1, 8, 8, 1), np.float32)
    assert of(dice, nothing, nothing) == 1
    assert of(soft_dice_loss, nothing, nothing) == 0


def test_the_loss_is_per_image_and_not_pooled_over_the_batch():
    truth = np.zeros((2, 4, 4, 1), np.float32)
    truth[0] = 1
    losses = of(soft_dice_loss, truth, np.ones_like(truth))
    assert losses[0] == pytest.approx(0)
    assert losses[1] == pytest.approx(1 - 1 / 17)


def test_soft_dice_loss_of_a_worked_example():
    truth, predicted = np.array([1.0, 1, 0, 0]), np.array([0.5, 1, 0.5, 0])
    loss = of(soft_dice_loss, truth.reshape(1, 2, 2, 1), predicted.reshape(1, 2, 2, 1))
    assert loss == pytest.approx(1 - (2 * 1.5 + 1) / (1.5 + 2 + 1))


def test_extra_weight_counts_in_the_cross_entropy_alone():
    rng = np.random.default_rng(0)
    truth, predicted = (rng.random((3, 8, 8, 1)) > 0.5).astype(np.float32), rng.random((3, 8, 8, 1)).astype(np.float32)
    extra = rng.random((3, 8, 8, 1)).astype(np.float32)
    weighted = np.concatenate([truth, extra], axis=-1)
    entropy = -(truth * np.log(predicted) + (1 - truth) * np.log(1 - predicted))
    np.testing.assert_allclose(of(bce, truth, predicted), entropy.mean((1, 2, 3)), rtol=1e-4)
    np.testing.assert_allclose(of(bce, weighted, predicted), (entropy * (1 + extra)).mean((1, 2, 3)), rtol=1e-4)
    for function in (soft_dice_loss, dice):
        np.testing.assert_array_equal(of(function, weighted, predicted), of(function, truth, predicted))


def test_bce_dice_is_the_sum_of_both():
    rng = np.random.default_rng(0)
    truth, predicted = (rng.random((3, 8, 8, 1)) > 0.5).astype(np.float32), rng.random((3, 8, 8, 1)).astype(np.float32)
    entropy = -(truth * np.log(predicted) + (1 - truth) * np.log(1 - predicted)).mean((1, 2, 3))
    np.testing.assert_allclose(
        of(bce_dice, truth, predicted), entropy + of(soft_dice_loss, truth, predicted), rtol=1e-4
    )
