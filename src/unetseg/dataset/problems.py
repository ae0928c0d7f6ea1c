"""Collect the problems of many samples, to report them together."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from unetseg.errors import InputError
from unetseg.parallel import in_processes
from unetseg.progress import progress

MOST_LINES = 50
ANOTHER = "name another archive in evaluate.external, or data/sample/none.zip for none"
NO_FOREGROUND = "no mask has any foreground: 255 or 1 is object, 0 is background"

Item = TypeVar("Item")
Result = TypeVar("Result")


def attempt(function: Callable[..., Result], *args: Any) -> tuple[Result | None, list[str]]:
    """Call a function; return its result and no lines, or None and the lines of its InputError."""
    try:
        return function(*args), []
    except InputError as error:
        return None, str(error).splitlines()


def attempt_each(
    function: Callable[[Item], Result], items: Sequence[Item], title: str
) -> Iterator[tuple[Item, Result | None, list[str]]]:
    """Call a function on each item, in processes, and report the progress under `title`.

    Yields:
        Each item in order, and what `attempt` gives for it.
    """
    results = in_processes(partial(attempt, function), items)
    for item, (result, problems) in zip(items, progress(results, title, len(items)), strict=True):
        yield item, result, problems


def of_archive(archive: Path, samples: Path, lines: Sequence[str]) -> list[str]:
    """Name the archive in each line in place of the folder to which its samples were extracted."""
    return [f"{archive}: {line.replace(f'{samples}/', '')}" for line in lines]


@dataclass
class Findings:
    """The usable samples of a data set, and its problems.

    Attributes:
        used: how many samples can be used.
        unusable: the problems of those that cannot, by the sample's id.
        warnings: a line for each oddity of those that can.
        foreground: whether any of them has any foreground.
    """

    used: int = 0
    unusable: dict[str, Sequence[str]] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    foreground: bool = False

    def add_usable(self, warnings: Sequence[str], foreground: bool) -> None:
        """Record a usable sample."""
        self.used += 1
        self.warnings += warnings
        self.foreground |= foreground

    def add_unusable(self, sample: str, problems: Sequence[str]) -> None:
        """Record an unusable sample."""
        self.unusable[sample] = problems

    def unusable_lines(self) -> list[str]:
        """List the problems that make samples unusable."""
        return [line for problems in self.unusable.values() for line in problems]

    def lines(self) -> list[str]:
        """List the problems: those that make samples unusable, then the warnings."""
        lines = self.unusable_lines()
        if self.used and not self.foreground:
            lines.append(NO_FOREGROUND)
        return [*lines, *(f"warning: {line}" for line in self.warnings)]

    def first_lines(self) -> list[str]:
        """List the first problems and the number of others."""
        lines = self.lines()
        if (more := len(lines) - MOST_LINES) > 0:
            lines[MOST_LINES:] = [f"and {more} lines more: `unetseg check ARCHIVE` lists them all"]
        return lines

    def raise_unusable(self, skip_bad: bool) -> None:
        """Raise an InputError that lists the problems, if no sample or (without `skip_bad`) not every one is usable."""
        if self.foreground and (skip_bad or not self.unusable):
            return
        lines = self.first_lines()
        if self.unusable:
            count = f"{len(self.unusable)} of {self.used + len(self.unusable)} samples cannot be used"
            skip = ", or set data.on_bad_sample to skip (unetseg evaluate: --skip-bad)" if self.foreground else ""
            lines.append(f"{count}: fix or remove them{skip}")
        raise InputError(*lines)

    def as_json(self) -> dict[str, Any]:
        """Return the counts and the problems for metrics/preprocess.json."""
        return {
            "samples": self.used + len(self.unusable),
            "used": self.used,
            "skipped": [{"id": sample, "problem": "; ".join(lines)} for sample, lines in self.unusable.items()],
            "warnings": self.warnings,
        }
