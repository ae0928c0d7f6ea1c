"""Let two steps of a chain work at the same time, with one item between them."""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")


def ahead(items: Iterable[Item]) -> Iterator[Item]:
    """Make the next item in a thread while the caller works on the last one."""
    iterator = iter(items)
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(_next, iterator)
        while item := coming.result():
            coming = pool.submit(_next, iterator)
            yield item[0]


def _next(iterator: Iterator[Item]) -> tuple[Item] | None:
    """Give the next item in a tuple, which is true even where the item is not, or None."""
    for item in iterator:
        return (item,)
    return None
