"""Apply a function to many items on all cores, in order, with only a few items in memory."""

import contextlib
import ctypes
import math
import multiprocessing
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from functools import cache, partial
from itertools import islice, repeat
from multiprocessing import forkserver
from pathlib import Path
from typing import Any, TypeVar

from unetseg.errors import InputError

Item = TypeVar("Item")
Result = TypeVar("Result")

WAITING_PER_CORE = 4
FEW = 100  # fewer items are done before processes have started


def cores() -> int:
    """Count the cores that this process may use: of the machine, of its affinity, of its control group's quota."""
    known = [os.cpu_count() or 1, math.ceil(quota())]
    if hasattr(os, "sched_getaffinity"):  # not on macOS and Windows
        known.append(len(os.sched_getaffinity(0)))
    return min(known)


def limit_threads() -> None:
    """Tell OpenCV and TensorFlow, before they are imported, to use no more threads than `cores`."""
    for name in ("OPENCV_FOR_THREADS_NUM", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
        os.environ.setdefault(name, str(cores()))


@cache
def _first_process() -> int:
    return os.getpid()  # a fork has the answer of the process that it is a copy of


def refuse_fork() -> None:
    """Refuse to go on in a fork of a process that came here before: without its threads, Keras would wait for ever.

    Raises:
        InputError: saying how to start processes.
    """
    if os.getpid() != _first_process():
        rule = "start processes with multiprocessing.get_context('spawn')"
        raise InputError(f"this process is a fork of one that has used a model, which cannot work: {rule}")


def keep_freed_memory() -> None:
    """Let glibc keep memory for the next batch that a batch has freed; elsewhere than on Linux there is nothing to do.

    TensorFlow on Python 3.11, and Dask for its workers, make glibc give every block over 128 or 64 kB back at once, so
    that a third of the time goes into clearing new pages. These are glibc's own limits for a program that frees large
    blocks (mallopt(3): M_MMAP_THRESHOLD grows up to 32 MiB), with more kept at the end of the heap.
    """
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):  # another C library
            libc = ctypes.CDLL("libc.so.6")
            libc.mallopt(-1, 1 << 30)  # M_TRIM_THRESHOLD
            libc.mallopt(-3, 32 << 20)  # M_MMAP_THRESHOLD


def quota(root: Path = Path("/sys/fs/cgroup"), groups: Path = Path("/proc/self/cgroup")) -> float:
    """Give how many cores the control groups of this process allow, as containers and Slurm set them.

    Args:
        root: where the hierarchies are mounted: version 2 itself, the controllers of version 1 as folders below.
        groups: lists the groups of this process, a line `number:controllers:path` for each hierarchy; version 2 names
            no controllers.
    """
    least = float(2**16)
    with contextlib.suppress(OSError, ValueError):
        for line in groups.read_text(encoding="utf-8").splitlines():
            _, controllers, own = line.split(":", 2)
            if not controllers or "cpu" in controllers.split(","):
                top = root / controllers
                group = top / own.strip("/")
                for folder in (group, *group.parents[: len(group.parts) - len(top.parts)]):
                    least = min(least, _allowed(folder))
    return least


def _allowed(group: Path) -> float:
    """Read the limit of one control group, of version 2 or 1; infinite where it sets none."""
    with contextlib.suppress(OSError, ValueError):
        if (limit := group / "cpu.max").is_file():
            share, period = limit.read_text(encoding="ascii").split()
        else:
            share, period = ((group / f"cpu.cfs_{name}_us").read_text(encoding="ascii") for name in ("quota", "period"))
        if share.strip() != "max" and int(share) > 0:  # version 1 says -1 for no limit
            return int(share) / int(period)
    return math.inf


def in_parallel(function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """Yield `function(item)` for each item, in the items' order.

    Threads are enough where the work is reading, decoding and resizing, which let go of the interpreter's lock. However
    many items there are, only `WAITING_PER_CORE` results a core wait to be taken.

    Raises:
        Exception: whatever `function` raises, at the item's turn; the items after it are dropped.
    """
    yield from _in_order(ThreadPoolExecutor(cores()), function, items, WAITING_PER_CORE * cores())


def prefetch(items: Iterable[Item]) -> Iterator[Item]:
    """Yield the items; a thread makes the next one while the caller works on the current one."""
    end: Any = object()
    for item in _in_order(ThreadPoolExecutor(1), partial(next, iter(items)), repeat(end), 2):
        if item is end:
            return
        yield item


def prepare_processes(items: int, module: str) -> None:
    """Begin to start what `in_processes` will need for so many items, which takes a second, and go on.

    `module` holds the function that will be called: one process imports it for all.
    """
    if items > FEW and os.name == "posix":
        multiprocessing.get_context("forkserver").set_forkserver_preload([module])
        forkserver.ensure_running()


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
    executor = ProcessPoolExecutor(cores(), how, initializer=_follow_parent)
    yield from _in_order(executor, function, items, WAITING_PER_CORE * cores())


def _in_order(
    executor: Executor, function: Callable[[Item], Result], items: Iterable[Item], most: int
) -> Iterator[Result]:
    """Yield the results in order; `most` items are worked on or wait."""
    pending = iter(items)
    waiting: deque[Future[Result]] = deque()
    wait = True
    try:
        waiting.extend(executor.submit(function, item) for item in islice(pending, most))
        while waiting:
            yield waiting.popleft().result()
            waiting.extend(executor.submit(function, item) for item in islice(pending, 1))
    except GeneratorExit:  # the garbage collector may have closed it, within a lock that joining a thread needs
        wait = False
        raise
    finally:
        executor.shutdown(wait=wait, cancel_futures=True)


def _follow_parent() -> None:
    """Ignore interrupts, which the parent handles, and end when the parent ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    if parent := multiprocessing.parent_process():
        parent.join()
        os._exit(1)
