"""Do the same to many items on all cores, in order, with only a few of them in memory."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

WAITING_PER_CORE = 4


def in_parallel(function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """Yield `function(item)` for each item, in the items' order.

    Threads are enough where the work is reading, decoding and resizing, which let go of the interpreter's lock. However
    many items there are, only `WAITING_PER_CORE` results a core wait to be taken.

    Raises:
        Exception: whatever `function` raises, at the item's turn; the items after it are dropped.
    """
    cores = os.cpu_count() or 1
    pending = iter(items)
    with ThreadPoolExecutor(cores) as pool:
        waiting: deque[Future[Result]] = deque()
        try:
            waiting.extend(pool.submit(function, item) for item in islice(pending, WAITING_PER_CORE * cores))
            while waiting:
                yield waiting.popleft().result()
                waiting.extend(pool.submit(function, item) for item in islice(pending, 1))
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
