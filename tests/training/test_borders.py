import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt

from unetseg.training.batches import REACH, border_weights


def squares(*places, size=40):
    labels = np.zeros((size, size), np.uint16)
    for number, (row, column) in enumerate(places, 1):
        labels[row : row + 8, column : column + 8] = number
    return labels


def test_the_weight_is_that_of_the_paper():
    labels = squares((4, 4), (5, 15), (25, 10))
    distances = np.sort([distance_transform_edt(labels != number) for number in (1, 2, 3)], axis=0)
    expected = np.where(labels > 0, 0, 10 * np.exp(-((distances[0] + distances[1]) ** 2) / 50))
    near = distances[1] <= REACH
    np.testing.assert_allclose(border_weights(labels, 10.0)[near], expected[near], atol=1e-3)
    assert border_weights(labels, 10.0)[~near].max() <= 10 * np.exp(-(REACH**2) / 50)


@pytest.mark.parametrize("labels", [squares(), squares((4, 4)), np.ones((40, 40), np.uint16)])
def test_less_than_two_objects_have_no_gap(labels):
    assert not border_weights(labels, 10.0).any()


def test_a_narrow_gap_weighs_more_than_a_wide_one():
    narrow, wide = (border_weights(squares((4, 4), (4, 12 + gap)), 10.0)[8, 12] for gap in (1, 6))
    assert narrow == pytest.approx(10 * np.exp(-(2**2) / 50), rel=1e-3)
    assert narrow > 2 * wide > 0
