"""`unetseg sample`: write the synthetic sample archive."""

import argparse
from pathlib import Path

from unetseg.errors import InputError
from unetseg.files import check_output
from unetseg.synthetic.sample import make_elsewhere, make_tiles, write_archive


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--elsewhere", action="store_true", help="the images of another laboratory, to test on")
    parser.add_argument("out", type=Path, metavar="OUT.zip", help="the zip to write; an existing one is replaced")


def run(options: argparse.Namespace) -> None:
    check_output(options.out)
    if options.out.suffix != ".zip":
        raise InputError(f"{options.out}: is not named .zip, as the archive that is written there")
    write_archive(options.out, make_elsewhere() if options.elsewhere else make_tiles())
