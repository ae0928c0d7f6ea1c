from functools import partial

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from unetseg.objects import strips
from unetseg.objects.separation import connected_objects, separated_objects
from unetseg.objects.strips import number_objects

connected = partial(connected_objects, threshold=0.5, min_size=1)
separated = partial(separated_objects, threshold=0.5, depth=0.5, min_size=1)
probabilities = arrays(
    np.float32, array_shapes(min_dims=2, max_dims=2, max_side=12), elements=st.sampled_from([0.0, 0.4, 0.5, 1.0])
)


def strips_of(probability, number, piece=1, most=10**6, rows=1):
    cut = [probability[start : start + rows] for start in range(0, len(probability), rows)]
    return list(number_objects(cut, len(probability), number, 0.5, piece=piece, most=most))


def joined(strips):
    return np.concatenate([strip.labels for strip in strips])


def same_objects(one, other):
    pairs = np.unique(np.stack([one.ravel(), other.ravel()]), axis=1)
    return pairs.shape[1] == len(np.unique(one)) == len(np.unique(other)) and np.array_equal(one > 0, other > 0)


def each_alone(number, probability):
    """Number the objects of each component as if it were alone in the image."""
    parts = connected_objects(probability, 0.5, 1)
    numbered = np.zeros(parts.shape, np.int64)
    for part in range(1, parts.max() + 1):
        found = number(np.where(parts == part, probability, np.float32(0)))
        numbered += np.where(found, found + 1000 * part, 0)
    return numbered


def blobs(height, width):
    rows, columns = np.indices((height, width))
    return ((np.sin(rows / 2.5) * np.sin(columns / 3.0) + 0.8) / 2).astype(np.float32)


@pytest.mark.slow
@pytest.mark.parametrize("number", [connected, separated])
@given(probabilities, st.integers(1, 40), st.integers(1, 5))
def test_objects_in_strips_are_those_of_the_whole_image(number, probability, piece, rows):
    assume(same_objects(each_alone(number, probability), number(probability)))  # as `number_objects` asks for
    assert same_objects(joined(strips_of(probability, number, piece, rows=rows)), number(probability))


PLATEAU = np.float32(
    [
        [0.5, 0, 0.5, 0.5, 0, 0.5, 0.5, 0.5, 0.5],
        [0, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5],
        [0.5] * 9,
        [0.5] * 9,
        [0.5] * 8 + [0],
        [0.5] * 7 + [0, 0.5],
    ]
)


def test_an_even_plateau_between_touching_objects_may_be_cut_elsewhere_and_no_object_is_lost():
    whole, found = separated(PLATEAU), joined(strips_of(PLATEAU, separated))
    assert not same_objects(each_alone(separated, PLATEAU), whole)
    assert np.array_equal(found > 0, whole > 0)
    assert found.max() == whole.max() == 4


@given(probabilities, st.integers(1, 40))
def test_strips_follow_each_other_and_keep_the_probability(probability, piece):
    strips = strips_of(probability, connected, piece)
    assert all(len(strip.labels) for strip in strips)
    tops = np.cumsum([0, *(len(strip.labels) for strip in strips)])
    assert [strip.top for strip in strips] == tops[:-1].tolist()
    assert np.array_equal(np.concatenate([strip.probability for strip in strips]), probability)


@given(probabilities, st.integers(1, 40))
def test_every_object_is_named_once_with_its_pixels_and_its_mean_probability(probability, piece):
    strips = strips_of(probability, connected, piece)
    objects = [found for strip in strips for found in strip.objects]
    assert [found.label for found in objects] == list(range(1, len(objects) + 1))
    drawn = np.zeros(probability.shape, np.int32)
    for found in objects:
        height, width = found.mask.shape
        drawn[found.row : found.row + height, found.column : found.column + width] += found.label * found.mask
        assert found.probability == pytest.approx(probability[drawn == found.label].mean(dtype=float))
    assert np.array_equal(drawn, joined(strips))


@pytest.mark.parametrize("number", [connected, separated])
def test_components_of_many_blocks_of_columns_are_those_of_the_whole_image(number, monkeypatch):
    monkeypatch.setattr(strips, "BLOCK", 7)
    probability = blobs(40, 50)
    assert same_objects(joined(strips_of(probability, number, piece=300)), number(probability))


def test_an_image_of_one_piece_gets_the_numbers_of_the_whole():
    probability = blobs(40, 50)
    (strip,) = strips_of(probability, separated, piece=10**6, rows=40)
    assert np.array_equal(strip.labels, separated(probability))


def test_rows_are_given_on_before_the_image_ends():
    strips = strips_of(blobs(200, 20), connected, piece=100)
    assert max(len(strip.labels) for strip in strips) < 30


def test_a_component_that_never_ends_is_cut_so_that_memory_stays_flat():
    strips = strips_of(np.ones((200, 10), np.float32), connected, piece=50, most=200)
    assert max(strip.labels.size for strip in strips) <= 250
    assert np.array_equal(np.unique(joined(strips)), np.arange(1, 11))
    assert sum(strip.cut for strip in strips) == 9


def test_beside_a_component_that_is_cut_all_others_stay_whole():
    probability = blobs(200, 50)
    probability[:, 24:26] = [0, 1]
    probability[:, 26] = 0
    strips = strips_of(probability, connected, piece=100, most=2000)
    cut = sum(strip.cut for strip in strips)
    assert cut > 1
    assert joined(strips).max() == connected(probability).max() + cut
