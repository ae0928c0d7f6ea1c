"""The `unetseg` command: one function a subcommand, each a call into the library."""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from unetseg.errors import InputError
from unetseg.model_commands import add_ensemble, add_export, add_info
from unetseg.predict_command import add_predict
from unetseg.stage import one_line_errors

PER_IMAGE = "metrics/per_image.csv"
EVALUATE = "metrics/evaluate.json"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the `unetseg` command.

    Args:
        arguments: the words after `unetseg`; those of the process if None.

    Returns:
        The exit status: 0 done, 1 some inputs failed (each named on stderr, the others done), 2 unusable arguments.
    """
    parser = argparse.ArgumentParser(prog="unetseg", description="Segment images with a U-Net that one can trust.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for add in COMMANDS:
        add(commands)
    options = parser.parse_args(arguments)
    with one_line_errors():
        return int(options.run(options) or 0)


def _add_sample(commands: Any) -> None:
    parser = commands.add_parser("sample", help="write the synthetic sample archive that the pipeline runs on at first")
    parser.add_argument("out", type=Path, metavar="OUT.zip", help="the archive to make; an older one is replaced")
    parser.set_defaults(run=_sample)


def _sample(options: argparse.Namespace) -> None:
    from unetseg.samples.synthetic import make_tiles, write_archive  # noqa: PLC0415 - the other commands start faster

    write_archive(options.out, make_tiles())


def _add_compare(commands: Any) -> None:
    parser = commands.add_parser("compare", help="say whether one evaluation is better than another")
    parser.add_argument("first", metavar="A", help="a per_image.csv; with --rev a git revision or a DVC experiment")
    parser.add_argument("second", metavar="B", help="what is compared with A")
    parser.add_argument(
        "--rev", action="store_true", help=f"read {PER_IMAGE} of the revisions A and B; 'workspace' is the one here"
    )
    parser.set_defaults(run=_compare)


def _compare(options: argparse.Namespace) -> None:
    from unetseg.scoring.comparison import compare, parse_scores, verdict  # noqa: PLC0415 - the other commands start faster

    read = _read_revision if options.rev else lambda name: Path(name).read_text("utf-8-sig", "replace")
    names = options.first, options.second
    first, second = (parse_scores(read(name), name) for name in names)
    compared = compare(first, second)
    print(verdict(compared, *names))
    for name, ids in zip(names, (compared.only_first, compared.only_second), strict=True):
        if ids:
            print(f"left out, only in {name}: {', '.join(ids)}", file=sys.stderr)


def _read_revision(revision: str) -> str:
    import dvc.api  # noqa: PLC0415 - takes seconds
    from dvc.exceptions import DvcException  # noqa: PLC0415 - as above
    from dvc.scm import SCMError  # noqa: PLC0415 - as above

    try:
        return str(dvc.api.read(PER_IMAGE, rev=None if revision == "workspace" else revision))
    except (DvcException, SCMError, FileNotFoundError) as error:
        raise InputError(f"{revision}: its {PER_IMAGE} cannot be read: {error}") from error


def _add_folds(commands: Any) -> None:
    parser = commands.add_parser(
        "folds", help="give mean and spread of the scores over the folds of split.method=kfold"
    )
    parser.set_defaults(run=_folds)


def _folds(_options: argparse.Namespace) -> int:
    from unetseg.scoring.folds import gather, lines  # noqa: PLC0415 - the other commands start faster

    asked = [sys.executable, "-m", "dvc", "exp", "show", "--json"]
    shown = subprocess.run(asked, capture_output=True, text=True, check=False)  # noqa: S603 - these words only
    if shown.returncode:
        raise InputError(f"dvc exp show failed: {shown.stderr.strip()}")
    gathered = gather(json.loads(shown.stdout), EVALUATE)
    print("\n".join(lines(gathered)))
    for folds in gathered:
        if folds.missing:
            print(f"not yet scored: split.fold={','.join(map(str, folds.missing))}", file=sys.stderr)
    return int(any(folds.missing for folds in gathered))


def _add_check(commands: Any) -> None:
    parser = commands.add_parser("check", help="list everything that is wrong with the samples of an archive")
    parser.add_argument("archive", type=Path, metavar="ARCHIVE", help="a zip, read within the limits of ./params.yaml")
    parser.set_defaults(run=_check)


def _check(options: argparse.Namespace) -> int:
    from unetseg.params_file import load_params  # noqa: PLC0415 - the other commands start faster
    from unetseg.samples.archive import extract, opened  # noqa: PLC0415 - the other commands start faster
    from unetseg.samples.samples import check_samples  # noqa: PLC0415 - as above

    limits = load_params().data.model_dump(include={"max_members", "max_gigabytes", "max_ratio"})
    with tempfile.TemporaryDirectory() as folder:
        with opened(options.archive, **limits) as contents:
            extract(contents, Path(folder) / "samples")
        found = check_samples(Path(folder) / "samples")
    for line in found.lines():
        print(line.replace(f"{folder}/samples/", ""), file=sys.stderr)
    counts = f"{found.used} of {found.used + len(found.unusable)} samples can be used"
    print(f"{options.archive}: {counts}, with {len(found.warnings)} warnings")
    return int(bool(found.unusable) or not found.foreground)


def _add_report(commands: Any) -> None:
    parser = commands.add_parser("report", help="write a page on which predictions are looked through")
    parser.add_argument("folder", type=Path, metavar="DIR", help="what `unetseg predict --out DIR` wrote")
    parser.set_defaults(run=_report)


def _report(options: argparse.Namespace) -> None:
    from unetseg.pages.predicted import predicted_entries, read_predictions  # noqa: PLC0415 - the other commands start faster
    from unetseg.pages.report import write_report  # noqa: PLC0415
    from unetseg.progress import progress  # noqa: PLC0415

    folder: Path = options.folder
    run = read_predictions(folder)
    images = run.pop("images")
    entries = progress(predicted_entries(folder, images), "report", len(images))
    words = {"title": f"Predictions in {folder.resolve().name}", "subtitle": "What the model found in each image."}
    write_report(folder / "report.html", entries, total=len(images), metrics={}, params=run, history=[], **words)
    print(folder / "report.html")


def _add_preset(commands: Any) -> None:
    parser = commands.add_parser("preset", help="print the values of a file in the words of `dvc exp run`")
    parser.add_argument("file", type=Path, metavar="FILE.yaml", help="some of the sections and keys of params.yaml")
    parser.set_defaults(run=_preset)


def _preset(options: argparse.Namespace) -> None:
    from unetseg.params_file import read_preset  # noqa: PLC0415 - the other commands start faster

    print(" ".join(f"-S {key}={value}" for key, value in read_preset(options.file).items()))


# one `_add_NAME(commands)` for each subcommand, in the order in which --help shows them
COMMANDS = (
    _add_sample,
    _add_check,
    add_predict,
    _add_compare,
    _add_folds,
    _add_report,
    add_info,
    add_ensemble,
    add_export,
    _add_preset,
)


if __name__ == "__main__":
    sys.exit(main())
