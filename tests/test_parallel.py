import threading

import pytest

from unetseg.parallel import WAITING_PER_CORE, in_parallel


def test_results_come_in_the_order_of_the_items():
    assert list(in_parallel(lambda number: number * number, range(100))) == [n * n for n in range(100)]


def test_several_items_are_worked_on_at_once(monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    both = threading.Barrier(2, timeout=10)
    assert len(list(in_parallel(lambda _: both.wait(), range(2)))) == 2


def test_only_a_few_items_are_taken_ahead(monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    taken = []

    def items():
        for number in range(1000):
            taken.append(number)
            yield number

    results = in_parallel(lambda number: number, items())
    for _ in range(10):
        next(results)
    assert len(taken) <= 10 + 2 * WAITING_PER_CORE
    results.close()


def test_an_exception_comes_at_its_items_turn():
    results = in_parallel(lambda number: 1 // number, [2, 1, 0, 3])
    assert next(results) == 0
    assert next(results) == 1
    with pytest.raises(ZeroDivisionError):
        next(results)
