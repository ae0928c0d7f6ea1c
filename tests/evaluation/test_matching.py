import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import linear_sum_assignment
from skimage.metrics import contingency_table

from unetseg.evaluation.matching import BOWL_THRESHOLDS, f1, match, mean_average_precision, panoptic_quality


def blocks(**columns):
    """Draw objects 10 pixels high, as {number: (first column, one past the last)}."""
    labels = np.zeros((10, 100), np.uint16)
    for number, (start, stop) in columns.items():
        labels[:, start:stop] = int(number[1:])
    return labels


TRUTH = blocks(n1=(0, 10), n2=(20, 30), n3=(40, 50))
# IoU 1, IoU 8/12 = 0.667, nothing of the third, and one where nothing is
FOUND = blocks(n5=(0, 10), n9=(22, 32), n2=(60, 70)).astype(np.int32)


def test_the_worked_example_by_hand():
    matched = match(TRUTH, FOUND)
    assert sorted(matched.ious) == pytest.approx([8 / 12, 1])
    assert (matched.true, matched.predicted) == (3, 3)
    assert f1(matched, 0.5) == pytest.approx(2 * 2 / 6)
    assert f1(matched, 0.7) == pytest.approx(2 * 1 / 6)
    # two right of four at 0.5, 0.55, 0.6 and 0.65, then one of five
    assert mean_average_precision(matched) == pytest.approx((4 * 2 / 4 + 6 * 1 / 5) / 10)
    assert panoptic_quality(matched) == pytest.approx((1 + 8 / 12) / (2 + 1 / 2 + 1 / 2))


def test_an_object_at_the_threshold_itself_is_not_right():
    half = match(blocks(n1=(0, 10)), blocks(n1=(0, 5)))
    seven_tenths = match(blocks(n1=(0, 10)), blocks(n1=(0, 7)))
    assert f1(half, 0.5) == 0
    assert (f1(seven_tenths, 0.5), f1(seven_tenths, 0.7)) == (1, 0)
    assert mean_average_precision(seven_tenths) == pytest.approx(4 / 10)


@pytest.mark.parametrize(
    ("truth", "found", "expected"), [({}, {}, 1), ({"n1": (0, 9)}, {}, 0), ({}, {"n1": (0, 9)}, 0)]
)
def test_no_objects_found_where_none_are_is_perfect_and_else_nothing(truth, found, expected):
    matched = match(blocks(**truth), blocks(**found))
    assert [f1(matched, 0.5), mean_average_precision(matched), panoptic_quality(matched)] == [expected] * 3


def independent(truth, found):
    """Assign objects optimally at each threshold, from scikit-image's contingency table."""
    table = np.asarray(contingency_table(truth, found).todense())
    areas = [table.sum(axis=1, keepdims=True), table.sum(axis=0, keepdims=True)]
    iou = (table / np.maximum(areas[0] + areas[1] - table, 1))[1:, 1:]
    iou = iou[areas[0][1:, 0] > 0][:, areas[1][0, 1:] > 0]
    objects = sum(iou.shape)
    results = {}
    for threshold in BOWL_THRESHOLDS:
        right = iou > threshold
        pairs = linear_sum_assignment(-(right + iou / (objects + 1)))
        hits = right[pairs].sum()
        results[threshold] = (hits, iou[pairs][right[pairs]].sum())
    if not objects:
        return 1, 1, 1, 1
    average = np.mean([hits / (objects - hits) for hits, _ in results.values()])
    return 2 * results[0.5][0] / objects, 2 * results[0.7][0] / objects, average, 2 * results[0.5][1] / objects


LABELS = st.integers(0, 5).flatmap(lambda most: arrays(np.uint16, (7, 8), elements=st.integers(0, most)))


@settings(deadline=None)
@given(LABELS, LABELS, st.integers(0, 56))
def test_object_scores_agree_with_an_optimal_assignment(truth, other, kept):
    found = np.where(np.arange(truth.size).reshape(truth.shape) < kept, truth, other)  # else nothing would match
    matched = match(truth, found)
    ours = f1(matched, 0.5), f1(matched, 0.7), mean_average_precision(matched), panoptic_quality(matched)
    assert ours == pytest.approx(independent(truth, found), abs=1e-9)
