"""The values of options that several subcommands take, and how they are told."""

import argparse
import contextlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, get_args

from unetseg.images.stacks import Project

if TYPE_CHECKING:
    from unetseg.prediction.settings import Tuning

TUNED = ("threshold", "depth", "min_size", "tta")
SMALLEST = 1e-9  # of a number that has to be more than 0
PROJECTIONS = get_args(Project)


def channel(word: str) -> int | str:
    """Read a channel: a number from 0, or a name."""
    return int(word) if word.isdecimal() else word


def add_channel(parser: argparse.ArgumentParser) -> None:
    """Add the options that say how a model is to see images of several channels and planes."""
    channel_help = "a number from 0, a name from the file's metadata, or all; default: as the model was trained"
    parser.add_argument("--channel", type=channel, metavar="C", help=channel_help)
    project_help = "project z-stacks to one image; default: as the model was trained"
    parser.add_argument("--project", choices=PROJECTIONS, help=project_help)


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


def told_values(tuned: "Tuning", given: Iterable[str], source: str) -> str:
    """Say which values of a model are used and where they come from; those `given` are the user's own."""
    values = ", ".join(f"{name.replace('_', ' ')} {getattr(tuned, name)}" for name in TUNED)
    options = ", ".join(f"--{name.replace('_', '-')}" for name in given)
    return f"{values} (from {source}{f'; {options} as given' if options else ''})"
