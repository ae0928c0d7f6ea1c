"""`unetseg check`: list all that would stop or spoil a run of the pipeline on an archive."""

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np

from unetseg.config import Params, check_against_data, check_batch_size
from unetseg.dataset.archive import extract, opened
from unetseg.dataset.arrays import read_sources, unfit_sources
from unetseg.dataset.checking import Checked, check_samples, unlike_pixel_size
from unetseg.dataset.groups import Rows, find_groups, own_groups
from unetseg.dataset.problems import ANOTHER, NO_FOREGROUND, attempt, of_archive
from unetseg.errors import InputError
from unetseg.files import is_empty_zip
from unetseg.params_file import load_params
from unetseg.splitting.division import divide


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("archive", type=Path, metavar="ARCHIVE", help="a zip; ./params.yaml applies")


def run(options: argparse.Namespace) -> int:
    """Give the exit status 1 where `dvc repro` would stop."""
    if not (settings := Path("params.yaml")).is_file():
        advice = "run it in the project's folder, a clone of this repository, with the archive's path from there"
        raise InputError(f"{settings}: not in this folder; `unetseg check` applies a project's settings: {advice}")
    params = load_params(settings)
    with tempfile.TemporaryDirectory() as folder:
        samples = Path(folder) / "samples"
        with opened(options.archive, params.data) as contents:
            extract(contents, samples)
        checked = check_samples(samples, params.data, params.image)
        together, wrong = attempt(find_groups, params.data, options.archive, samples, contents.ids)
        sources, lines = attempt(read_sources, samples)
        for row in checked.rows:
            row["source"] = (sources or {}).get(row["id"], "")
        stopping, told = [*wrong, *lines], list[str]()
        if not stopping:
            stopping, told = _what_stops(params, checked, len(contents.ids), together or [])
        elsewhere, lines = attempt(_check_external, params, Path(folder) / "external")
        stopping += lines
    findings = checked.findings
    left_out = [f"{options.archive}: {line}" for line in contents.told_left_out()]
    unfit = unfit_sources(samples, sources or {}, {*contents.ids})
    size = unlike_pixel_size(checked.rows, params.image.pixel_size, params.image.size, params.image.mode)
    warnings = [*left_out, *findings.warnings, *unfit, *told, *checked.warnings(), *size, *(elsewhere or [])]
    skipped = params.data.on_bad_sample == "skip" and findings.foreground
    for line in (*findings.unusable_lines(), *stopping, *(f"warning: {line}" for line in warnings)):
        print(line.replace(f"{folder}/samples/", ""), file=sys.stderr)
    print(*checked.table(), sep="\n")
    counts = f"{findings.used} of {findings.used + len(findings.unusable)} samples can be used"
    print(f"{options.archive}: {counts}, with {len(warnings)} warnings")
    return int(bool(stopping) or (bool(findings.unusable) and not skipped))


def _what_stops(params: Params, checked: Checked, packed: int, given: Rows) -> tuple[list[str], list[str]]:
    """List why the pipeline would stop, apart from single samples, and what it would warn of, by its own functions."""
    if not checked.findings.foreground:
        return [NO_FOREGROUND] if checked.rows else [], []
    if lines := attempt(check_against_data, params, packed)[1]:
        return lines, []
    told, lines = attempt(_split, params, checked, given)
    return lines, told or []


def _check_external(params: Params, samples: Path) -> list[str]:
    """Look through the archive `evaluate.external`, whose samples are else read once the training is over.

    Returns:
        What is skipped of it, and its warnings.

    Raises:
        InputError: if `evaluate` would stop.
    """
    external, data = Path(params.evaluate.external), params.data
    if is_empty_zip(external):
        return []
    with opened(external, data, "evaluate.external") as contents:
        extract(contents, samples)
    findings = check_samples(samples, data, params.image).findings
    tables = attempt(read_sources, samples)[1] + attempt(own_groups, samples, contents.ids)[1]
    if tables or not findings.foreground or (findings.unusable and data.on_bad_sample != "skip"):
        raise InputError(*of_archive(external, samples, [*findings.lines(), *tables, ANOTHER]))
    return of_archive(external, samples, [*findings.unusable_lines(), *findings.warnings])


def _split(params: Params, checked: Checked, given: Rows) -> list[str]:
    fingerprints, appearances = (np.stack(each) for each in (checked.fingerprints, checked.appearances))
    divided = divide(params.split, lambda: checked.rows, given, fingerprints, lambda: appearances)
    check_batch_size(params.train.batch_size, list(divided.subsets.values()).count("train"))
    return divided.warnings
