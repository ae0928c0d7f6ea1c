"""Where a result came from: code, parameters, data, code."""

import hashlib
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from unetseg.files import sha256


def provenance(params: Mapping[str, Any], data: Sequence[Path]) -> dict[str, str]:
    """Describe a run.

    Args:
        params: the parameters it read.
        data: the files it read.

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


def _code() -> str:
    try:
        tree = _git("rev-parse", "--short=10", "HEAD:./")
        return tree + ("+" if _git("status", "--porcelain", "--", ".") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _git(*words: str) -> str:
    command = ["git", "-C", str(Path(__file__).parent), *words]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603
