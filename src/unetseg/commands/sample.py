"""`unetseg sample`: write the synthetic sample archive."""

import argparse
from pathlib import Path

from unetseg.files import check_output
from unetseg.synthetic.sample import make_tiles, write_archive


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the subcommand."""
    parser.add_argument("out", type=Path, metavar="OUT.zip", help="the zip to write; an existing one is replaced")


def run(options: argparse.Namespace) -> None:
    """Run the subcommand; see `unetseg.cli`."""
    check_output(options.out)
    write_archive(options.out, make_tiles())
