"""Feed damaged inputs to a reader: whatever they hold, the only exception may be InputError. The fuzzers share this.

Needs `pip install atheris` (Linux, CPython 3.11 to 3.13). Inputs that end in another exception, hang or take too much
memory are kept in --folder; each belongs into a test.
"""

import argparse
import os
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import atheris

SECONDS_AN_INPUT = 10
MEGABYTES = 4096


class Target:
    """Read what libFuzzer makes, and count."""

    def __init__(
        self, read: Callable[[bytes], Iterator[str]], outcomes: Sequence[str], suffix: str, options: argparse.Namespace
    ) -> None:
        """Set the reader, which gives one of the `outcomes` for each thing that it could read."""
        self.read, self.outcomes, self.suffix, self.options = read, outcomes, suffix, options
        self.started = time.monotonic()
        self.executions = 0
        self.counts: Counter[str] = Counter()
        self.failures: dict[str, Path] = {}

    def __call__(self, data: bytes) -> None:
        """Read one input; libFuzzer calls this with one after the other."""
        from unetseg.errors import InputError  # not before a fuzzer has it instrumented

        if self.executions >= self.options.executions or self.seconds() > self.options.minutes * 60:
            self.report()
            os._exit(bool(self.failures))  # libFuzzer leaves without a chance to report
        self.executions += 1
        try:
            for outcome in self.read(data):
                self.counts[outcome] += 1
        except InputError:
            pass
        except Exception as error:
            where = traceback.extract_tb(error.__traceback__)[-1]
            kind = f"{type(error).__name__} in {where.name}: {error}"
            if kind not in self.failures:
                self.failures[kind] = self.options.folder / f"finding-{len(self.failures)}{self.suffix}"
                self.failures[kind].write_bytes(data)

    def seconds(self) -> float:
        """Give the seconds since the start."""
        return time.monotonic() - self.started

    def report(self) -> None:
        """Print what came of it."""
        counts = ", ".join(f"{self.counts[outcome]} {outcome}" for outcome in self.outcomes)
        print(f"{self.executions} executions in {self.seconds():.0f} s, {counts}")
        print(f"{len(self.failures)} kinds of unhandled exceptions")
        for kind, path in self.failures.items():
            print(f"  {kind}: {path}")
        sys.stdout.flush()


def fuzz(
    description: str,
    read: Callable[[bytes], Iterator[str]],
    seeds: Iterable[bytes],
    *flags: str,
    outcomes: Sequence[str],
    suffix: str = "",
) -> None:
    """Fuzz a reader for the time asked for on the command line, with more flags of libFuzzer."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--executions", type=float, default=float("inf"), help="end after so many, if that is earlier")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / Path(sys.argv[0]).stem)
    options = parser.parse_args()
    corpus = options.folder / "corpus"  # grows, and the next run starts from it
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds):
        (corpus / f"seed-{number}{suffix}").write_bytes(seed)
    limits = ["-max_len=2048", f"-timeout={SECONDS_AN_INPUT}", f"-rss_limit_mb={MEGABYTES}", "-verbosity=0"]
    arguments = [sys.argv[0], *limits, *flags, f"-artifact_prefix={options.folder}/", str(corpus)]
    atheris.Setup(arguments, Target(read, outcomes, suffix, options))
    atheris.Fuzz()
