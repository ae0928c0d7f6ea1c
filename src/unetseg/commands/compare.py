"""`unetseg compare`: tell whether one evaluation is significantly better than another."""

import argparse
import hashlib
import json
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import dvc.api
from dvc.exceptions import DvcException, FileMissingError
from dvc.scm import SCMError
from dvc.utils.serialize import parse_yaml

from unetseg.errors import InputError
from unetseg.evaluation.comparison import compare, parse_scores, verdict
from unetseg.evaluation.sweeps import unfinished
from unetseg.files import read_text
from unetseg.provenance import git_problem

PER_IMAGE = "metrics/per_image.csv"
CODE = ("src/", "stages/")  # how the deps begin that are code


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("first", metavar="A", help="a per_image.csv; with --rev a git revision or a DVC experiment")
    parser.add_argument("second", metavar="B", help="compared with A")
    parser.add_argument(
        "--rev",
        action="store_true",
        help=f"A and B are revisions or experiments; read their {PER_IMAGE}; 'workspace' is the working folder",
    )


def run(options: argparse.Namespace) -> None:
    if options.rev and (problem := git_problem(Path())):
        raise InputError(problem)
    read = _read_revision if options.rev else lambda name: read_text(Path(name))
    names = options.first, options.second
    first, second = (parse_scores(read(name), name) for name in names)
    compared = compare(first, second)
    print(verdict(compared, *names))
    for name, ids in zip(names, (compared.only_first, compared.only_second), strict=True):
        if ids:
            print(f"left out, only in {name}: {', '.join(ids)}", file=sys.stderr)


def _read_revision(revision: str) -> str:
    rev = None if revision == "workspace" else revision
    try:
        if not (stale := not_its_own(rev, PER_IMAGE)):
            return str(dvc.api.read(PER_IMAGE, rev=rev))
    except (DvcException, SCMError, FileNotFoundError) as error:
        lacking = "DVC's cache does not hold it; `dvc pull` it, or check the revision out and `dvc repro`"
        why = lacking if isinstance(error.__cause__, FileMissingError) else error
        raise InputError(f"{revision}: its {PER_IMAGE} cannot be read: {why}") from error
    raise InputError(f"{revision}: {stale}")


def not_its_own(rev: str | None, result: str) -> str:
    """Say why a result is not that of a revision (None: the workspace), if so; see `unetseg.evaluation.sweeps`."""
    files = dvc.api.DVCFileSystem(rev=rev)
    if not any(out.def_path == result and out.stage.path_in_repo == "dvc.yaml" for out in files.repo.index.outs):
        return ""  # not a pipeline's: there is nothing to tell by
    lock = parse_yaml(files.read_text("dvc.lock"), "dvc.lock") if files.exists("dvc.lock") else {}
    made = {out["path"]: out for stage in (lock.get("stages") or {}).values() for out in stage.get("outs", ())}
    if result not in made:
        return f"is not yet scored: dvc.lock holds no run that made {result}; wait for its end, or run it again"
    if others := unfinished(lock, dvc.api.params_show("params.yaml", rev=rev), result, partial(_hash, files)):
        reason = f"{result} is of a run with other {', '.join(others)}"
        return f"is not yet scored: {reason}; wait for its end, or run it again"
    there = "fs_info" in files.info(result)  # in the working folder or git, not in the cache alone
    if there and made[result].get("md5") not in (None, _content_md5(files, result)):
        return f"{result} is not the one in dvc.lock; `dvc checkout` it or `dvc repro`"
    return ""


def _hash(files: dvc.api.DVCFileSystem, dep: Mapping[str, Any]) -> str | None:
    """Hash a dep of a revision as dvc.lock does; None for code, what lies outside the project, and what git lacks."""
    path = dep["path"]
    if path.startswith(CODE) or Path(path).is_absolute() or path.startswith("..") or not files.exists(path):
        return None
    if files.isfile(path):
        return _md5(files, path)
    found = sorted(files.find(path, dvcfiles=True))
    if len(found) < dep.get("nfiles", 0):
        return None
    listed = [{"md5": _md5(files, each), "relpath": each.removeprefix(f"{path}/")} for each in found]
    return f"{hashlib.md5(json.dumps(listed).encode(), usedforsecurity=False).hexdigest()}.dir"


def _md5(files: dvc.api.DVCFileSystem, path: str) -> str:
    if known := (files.info(path).get("dvc_info") or {}).get("md5"):
        return str(known)
    return _content_md5(files, path)


def _content_md5(files: dvc.api.DVCFileSystem, path: str) -> str:
    """Hash the file that is there, which in the workspace need not be the one that DVC knows."""
    with files.open(path) as file:
        return hashlib.file_digest(file, partial(hashlib.md5, usedforsecurity=False)).hexdigest()
