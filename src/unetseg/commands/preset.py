"""`unetseg preset`: print a preset as `-S key=value` options for `dvc exp run`."""

import argparse
import shlex
from pathlib import Path

from unetseg.errors import InputError
from unetseg.params_file import read_preset


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "file", type=Path, metavar="FILE.yaml", help="a file with some of the sections and keys of params.yaml"
    )


def run(options: argparse.Namespace) -> None:
    for key, value in read_preset(options.file).items():
        word = f"{key}={str(value).lower() if isinstance(value, bool) else value}"
        if shlex.quote(word) != word:  # the shell takes what $(…) gives apart at spaces, and leaves quotes in
            raise InputError(f"{options.file}: {key}: {value!r}: a shell would split or change it")
        print(f"-S {word}", end=" ")
    print()
