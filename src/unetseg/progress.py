"""Progress of long work: a bar on a terminal, plain lines elsewhere."""

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from tqdm import tqdm

from unetseg.errors import printable

SECONDS_BETWEEN_LINES = 10.0
LINE = "{desc}: {n_fmt}/{total_fmt} {unit}s, {rate_fmt}, {remaining} left"

Item = TypeVar("Item")


def progress(items: Iterable[Item], title: str, total: int, unit: str = "image") -> Iterator[Item]:
    """Yield the items and report on stderr how many of a `total` are done, their rate and the remaining time."""
    title = printable(title)
    if sys.stderr.isatty():
        yield from tqdm(items, desc=title, total=total, unit=unit, dynamic_ncols=True)
        return
    started = last = time.monotonic()
    done = 0
    for done, item in enumerate(items, 1):
        yield item
        now = time.monotonic()
        if now - last >= SECONDS_BETWEEN_LINES:
            last = now
            line = tqdm.format_meter(done, total, now - started, prefix=title, unit=unit, bar_format=LINE)
            print(line, file=sys.stderr)
    print(f"{title}: {done} {unit}s in {time.monotonic() - started:.1f} s", file=sys.stderr)
