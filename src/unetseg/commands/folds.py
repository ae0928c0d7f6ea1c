"""`unetseg folds`: print mean and standard deviation of the scores over the folds of a cross-validation."""

import argparse
import sys

from unetseg.commands.sweep import read_experiments
from unetseg.evaluation.sweeps import fold_lines, gather_folds


def add_arguments(parser: argparse.ArgumentParser) -> None:
    del parser


def run(_options: argparse.Namespace) -> int:
    gathered = gather_folds(read_experiments().runs)
    print("\n".join(fold_lines(gathered)))
    for folds in gathered:
        if folds.missing:
            print(f"not yet scored: split.fold={','.join(map(str, folds.missing))}", file=sys.stderr)
    return int(any(folds.missing for folds in gathered))
