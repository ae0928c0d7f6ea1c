import pytest

from unetseg.training.devices import Share


@pytest.mark.parametrize("count", [1, 2, 5])
def test_the_shares_of_all_processes_are_the_batch_in_order(count):
    batch = list(range(10))
    assert [each for rank in range(count) for each in Share(rank, count, count).of(batch)] == batch
