import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage
from sklearn import metrics

from unetseg.evaluation import scores

SHAPES = st.tuples(st.integers(1, 12), st.integers(1, 12))
PAIRS = SHAPES.flatmap(lambda shape: st.tuples(masks(shape), masks(shape)))


def masks(shape):
    return st.one_of(arrays(bool, shape), st.just(np.zeros(shape, bool)), st.just(np.ones(shape, bool)))


@pytest.mark.slow
@settings(deadline=None)
@given(PAIRS)
def test_pixel_scores_agree_with_scikit_learn(pair):
    truth, predicted = pair
    flat = [mask.ravel() for mask in pair]
    counts = scores.count(truth, predicted)
    expected = {
        scores.dice: metrics.f1_score(*flat, zero_division=1.0),
        scores.iou: metrics.jaccard_score(*flat, zero_division=1.0 if not (truth | predicted).any() else 0.0),
        scores.precision: metrics.precision_score(*flat, zero_division=float(not truth.any())),
        scores.recall: metrics.recall_score(*flat, zero_division=1.0),
    }
    for score, value in expected.items():
        assert float(score(counts)) == pytest.approx(value, abs=1e-9), score.__name__


@pytest.mark.parametrize(
    ("truth", "predicted", "expected"),
    [(0, 0, (1, 1, 1, 1, 1)), (0, 1, (0, 0, 0, 1, 0)), (1, 0, (0, 0, 0, 0, 0)), (1, 1, (1, 1, 1, 1, 1))],
)
def test_an_empty_mask_scores_as_the_table_says(truth, predicted, expected):
    pair = [np.full((5, 7), bool(value)) for value in (truth, predicted)]
    pixel = [score(scores.count(*pair)) for score in (scores.dice, scores.iou, scores.precision, scores.recall)]
    assert (*map(float, pixel), scores.boundary_f1(*pair)) == expected


@settings(deadline=None)
@given(arrays(bool, (6, 5)), arrays(np.float32, (6, 5), elements=st.floats(0, 1, width=32)))
def test_counts_at_thresholds_are_those_of_each_threshold_alone(truth, probability):
    thresholds = np.array([0.25, 0.5, probability[0, 0], 1.0], np.float32)
    together = scores.count_at(truth, probability, thresholds)
    alone = scores.stack([scores.count(truth, probability >= threshold) for threshold in thresholds])
    for some, others in zip(together, alone, strict=True):
        np.testing.assert_array_equal(some, others)


def test_pooled_scores_are_those_of_one_image_made_of_all():
    rng = np.random.default_rng(0)
    truth, predicted = rng.random((2, 4, 8, 8)) < 0.4
    pooled = scores.pool(scores.stack([scores.count(*pair) for pair in zip(truth, predicted, strict=True)]))
    whole = scores.count(truth.reshape(32, 8), predicted.reshape(32, 8))
    assert [int(number) for number in pooled] == [int(number) for number in whole]


@settings(deadline=None)
@given(PAIRS, st.integers(0, 3))
def test_boundary_f1_agrees_with_distances_to_the_boundary(pair, tolerance):
    edges = []
    for mask in pair:
        inside = ndimage.binary_erosion(np.pad(mask, 1), np.ones((3, 3)))[1:-1, 1:-1]
        edges.append(mask & ~inside)
    if edges[0].any() and edges[1].any():
        near = [ndimage.distance_transform_edt(~edge) <= tolerance for edge in edges]
        right, found = near[0][edges[1]].mean(), near[1][edges[0]].mean()
        expected = metrics_f1(right, found)
    else:
        expected = float(edges[0].any() == edges[1].any())
    assert scores.boundary_f1(*pair, tolerance) == pytest.approx(expected, abs=1e-9)


def metrics_f1(right, found):
    return 2 * right * found / (right + found) if right + found else 0.0


def test_a_boundary_two_pixels_off_is_right_and_one_three_pixels_off_is_not():
    square = np.zeros((20, 20), bool)
    square[6:12, 6:12] = True
    outer = [np.zeros((20, 20), bool) for _ in range(2)]
    outer[0][4:14, 4:14], outer[1][3:15, 3:15] = True, True
    # of the larger square's boundary only the pixels near its corners are too far off: sqrt(8) > 2
    sides, corners = 4 * 6, 4 * 3
    right = sides / (sides + corners)
    assert scores.boundary_f1(square, outer[0]) == pytest.approx(2 * right / (right + 1))
    assert scores.boundary_f1(square, outer[1]) == 0
