"""Where a result came from: code, parameters, data."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from unetseg.files import sha256


def provenance(params: Mapping[str, Any], data: Sequence[Path]) -> dict[str, str]:
    """Describe a run by the parameters and the files that it read.

    Returns:
        `code`, git's id of this package's folder, with "+" where files differ from it ("unknown" outside git), and
        hashes of `params` and `data`. `git log --find-object=ID` names the commits; a commit cannot hold its own id.
    """
    return {"code": _code(), "params": digest(params), "data": sha256(*data)[:16]}


def digest(content: Mapping[str, Any]) -> str:
    """Hash JSON to 16 hexadecimal digits, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def code_digest() -> str:
    """Hash the source of the modules of this package that are imported, to 16 hexadecimal digits."""
    modules = [module for name, module in sys.modules.items() if name.partition(".")[0] == __package__]
    return sha256(*sorted(Path(module.__file__) for module in modules if module.__file__))[:16]


def git_problem(folder: Path) -> str | None:
    """Say in a line why git, and with it DVC, cannot be used in a folder, and what to do; None if it can."""
    try:
        _git(folder, "rev-parse", "--git-dir")
    except OSError:
        return "git is not installed; install it"
    except subprocess.CalledProcessError as error:
        if "safe.directory" in error.stderr:
            allow = error.stderr.strip().splitlines()[-1].strip()  # the command that git itself names
            return f"{folder.resolve()}: another user owns it, so git refuses to read it; to allow it: {allow}"
        start = "git init && git add --all && git commit -m Start"
        return f"{folder.resolve()}: is no git repository, as after Download ZIP; clone it, or run: {start}"
    return None


def _code() -> str:
    here = Path(__file__).parent
    if problem := git_problem(here):
        print(f"provenance: the code's version is recorded as unknown: {problem}", file=sys.stderr)
        return "unknown"
    try:
        tree = _git(here, "rev-parse", "--short=10", "HEAD:./")
        return tree + ("+" if _git(here, "status", "--porcelain", "--", ".") else "")
    except subprocess.CalledProcessError:
        return "unknown"  # nothing is committed, or this package is not part of the repository around it


def _git(folder: Path, *words: str) -> str:
    command, plain = ["git", "-C", str(folder), *words], os.environ | {"LC_ALL": "C"}
    return subprocess.run(command, capture_output=True, text=True, check=True, env=plain).stdout.strip()
