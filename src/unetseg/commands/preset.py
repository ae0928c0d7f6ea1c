"""`unetseg preset`: print a preset as `-S key=value` options for `dvc exp run`."""

import argparse
import shlex
from pathlib import Path

from unetseg.params_file import read_preset


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "file", type=Path, metavar="FILE.yaml", help="a file with some of the sections and keys of params.yaml"
    )


def run(options: argparse.Namespace) -> None:
    for key, value in read_preset(options.file).items():
        text = str(value).lower() if isinstance(value, bool) else str(value)
        print(f"-S {shlex.quote(f'{key}={text}')}", end=" ")
    print()
