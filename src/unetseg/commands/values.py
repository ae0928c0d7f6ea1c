"""The values of options that several subcommands take."""

import argparse
import contextlib
from typing import get_args

from unetseg.images.stacks import Project

SMALLEST = 1e-9  # of a number that has to be more than 0
PROJECTIONS = get_args(Project)


def channel(word: str) -> int | str:
    """Read a channel: a number from 0, or a name."""
    return int(word) if word.isdecimal() else word


def share(word: str) -> float:
    """Read a number between 0 and 1."""
    return number(word, SMALLEST, 1 - SMALLEST, "a number between 0 and 1")


def over_zero(word: str) -> float:
    """Read a number over 0."""
    return number(word, SMALLEST, 1 / SMALLEST, "a number over 0")


def number(word: str, least: float, most: float, rule: str) -> float:
    """Read a number within limits.

    Raises:
        argparse.ArgumentTypeError: with the rule, if it is none.
    """
    with contextlib.suppress(ValueError):
        if least <= (found := float(word)) <= most:
            return found
    raise argparse.ArgumentTypeError(f"{word!r} is not {rule}")


def whole(word: str, least: int) -> int:
    """Read a whole number from `least` up."""
    if word.isdecimal() and int(word) >= least:
        return int(word)
    raise argparse.ArgumentTypeError(f"{word!r} is not a whole number from {least} up")
