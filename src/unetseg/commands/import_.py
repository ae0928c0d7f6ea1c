"""`unetseg import`: one archive of images and objects in other forms, corrected predictions, or several archives."""

import argparse
import sys
from pathlib import Path

from unetseg.commands.values import PROJECTIONS, channel
from unetseg.dataset.forms import FORMS
from unetseg.dataset.importing import import_archive


def add_arguments(parser: argparse.ArgumentParser) -> None:
    sources_help = "a folder, .zip, .tar.gz, COCO or run-length file; several are merged"
    parser.add_argument("sources", nargs="+", type=_path, metavar="SOURCE", help=sources_help)
    parser.add_argument("--out", type=_path, required=True, metavar="ARCHIVE.zip", help="the archive to write")
    parser.add_argument("--from", dest="form", choices=list(FORMS), help="default: found out from what is there")
    changed_help = "of a folder of `unetseg predict`: only images whose objects were edited since"
    parser.add_argument("--only-changed", action="store_true", help=changed_help)
    channel_help = "a number from 0, or a name from the file's metadata; default: all, the image as it is"
    parser.add_argument("--channel", type=channel, default="all", metavar="C", help=channel_help)
    project_help = "project z-stacks to one image; default: none, refuse them"
    parser.add_argument("--project", choices=PROJECTIONS, default="none", help=project_help)
    parser.add_argument("--strict", action="store_true", help="write nothing if there is any problem or warning")


def run(options: argparse.Namespace) -> int:
    asked = {name: getattr(options, name) for name in ("form", "only_changed", "channel", "project", "strict")}
    summary = import_archive(options.sources, options.out, **asked)
    for source, form in summary.forms.items():
        print(f"{source}: {form}")
    if classes := summary.classes_line():
        print(classes)
    for line in (*summary.problems, *(f"warning: {line}" for line in summary.warnings)):
        print(line, file=sys.stderr)
    left_out = summary.left_out_line()
    rate = f"{summary.images / max(summary.seconds, 1e-9):.0f} images/s"
    counts = f"{summary.images} images with {summary.objects} objects ({rate})"
    failed = f"; {len(summary.problems)} problems, each told above" if summary.problems else ""
    print(f"{options.out}: {counts}{f'; {left_out}' if left_out else ''}{failed}")
    return int(bool(summary.problems))


def _path(word: str) -> Path:
    if not word:
        raise argparse.ArgumentTypeError("is empty; name a file or folder")
    return Path(word)
