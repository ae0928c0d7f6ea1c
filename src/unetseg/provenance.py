"""Where a result came from: git revision, parameters, data, code."""

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
        `revision` (git's, with "+" where files differ from it; "unknown" where git cannot tell), and hashes of
        `params` and `data`.
    """
    return {"revision": _revision(), "params": digest(params), "data": sha256(*data)[:16]}


def digest(content: Mapping[str, Any]) -> str:
    """Hash JSON to 16 hexadecimal digits, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def code_digest() -> str:
    """Hash the source of the modules of this package that are imported, to 16 hexadecimal digits."""
    modules = [module for name, module in sys.modules.items() if name.partition(".")[0] == __package__]
    return sha256(*sorted(Path(module.__file__) for module in modules if module.__file__))[:16]


def _revision() -> str:
    command = ["git", "describe", "--always", "--exclude=*", "--abbrev=10", "--dirty=+"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
