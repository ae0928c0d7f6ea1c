"""Run two steps of a chain at the same time, with one item between them."""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")


def ahead(items: Iterable[Item]) -> Iterator[Item]:
    """Prepare the next item in a thread while the caller works on the current one."""
    iterator = iter(items)
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(_next, iterator)
        while item := coming.result():
            coming = pool.submit(_next, iterator)
            yield item[0]


def _next(iterator: Iterator[Item]) -> tuple[Item] | None:
    """Return the next item in a tuple, or None at the end."""
    for item in iterator:
        return (item,)
    return None
