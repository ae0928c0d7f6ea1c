"""`unetseg folds`: print mean and standard deviation of the scores over the folds of a cross-validation."""

import argparse
import json
import subprocess
import sys

from unetseg.commands.compare import not_its_own
from unetseg.errors import InputError
from unetseg.evaluation.folds import gather, lines

EVALUATE = "metrics/evaluate.json"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the subcommand."""
    del parser


def run(_options: argparse.Namespace) -> int:
    """Run the subcommand; see `unetseg.cli`."""
    asked = [sys.executable, "-m", "dvc", "exp", "show", "--json"]
    shown = subprocess.run(asked, capture_output=True, text=True, check=False)  # noqa: S603 - these words only
    if shown.returncode:
        raise InputError(f"dvc exp show failed: {shown.stderr.strip()}")
    gathered = gather(json.loads(shown.stdout), EVALUATE, scored=lambda revision: not not_its_own(revision, EVALUATE))
    print("\n".join(lines(gathered)))
    for folds in gathered:
        if folds.missing:
            print(f"not yet scored: split.fold={','.join(map(str, folds.missing))}", file=sys.stderr)
    return int(any(folds.missing for folds in gathered))
