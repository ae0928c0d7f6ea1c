import threading

import pytest

from unetseg.prediction.prefetch import ahead


def test_the_next_item_is_made_while_the_last_is_worked_on():
    made = [threading.Event() for _ in range(3)]

    def make():
        for number in range(3):
            made[number].set()
            yield number

    for number in ahead(make()):
        assert number == 2 or made[number + 1].wait(10)


def test_items_that_are_false_are_items():
    assert list(ahead([0, None, "", []])) == [0, None, "", []]


def test_an_error_in_making_an_item_reaches_the_caller():
    with pytest.raises(ZeroDivisionError):
        list(ahead(1 / number for number in (1, 0)))
