"""Apply a function to many items on all cores, in order, with only a few items in memory."""

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

WAITING_PER_CORE = 4
FEW = 100  # fewer items are done before processes have started


def in_parallel(function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """Yield `function(item)` for each item, in the items' order.

    Threads are enough where the work is reading, decoding and resizing, which let go of the interpreter's lock. However
    many items there are, only `WAITING_PER_CORE` results a core wait to be taken.

    Raises:
        Exception: whatever `function` raises, at the item's turn; the items after it are dropped.
    """
    yield from _in_order(ThreadPoolExecutor(_cores()), function, items)


def in_processes(function: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[Result]:
    """Like `in_parallel`, for work in many small steps, where threads would wait for the interpreter's lock.

    Args:
        function: what can be pickled, as can its items and results: a function of a module, or a partial of one.
        items: a few of them are worked on by threads.
    """
    if len(items) <= FEW:
        yield from in_parallel(function, items)
        return
    how = multiprocessing.get_context("forkserver" if os.name == "posix" else "spawn")  # fork copies locks of threads
    yield from _in_order(ProcessPoolExecutor(_cores(), how, initializer=_follow_parent), function, items)


def _in_order(executor: Executor, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    pending = iter(items)
    with executor as pool:
        waiting: deque[Future[Result]] = deque()
        try:
            waiting.extend(pool.submit(function, item) for item in islice(pending, WAITING_PER_CORE * _cores()))
            while waiting:
                yield waiting.popleft().result()
                waiting.extend(pool.submit(function, item) for item in islice(pending, 1))
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _cores() -> int:
    return os.cpu_count() or 1


def _follow_parent() -> None:
    """Ignore interrupts, which the parent handles, and end when the parent ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    if parent := multiprocessing.parent_process():
        parent.join()
        os._exit(1)
