"""Restore or remove files that are incomplete because dvc was killed while it wrote them: dvc.lock, .dvc/tmp/rwlock.

dvc refuses to start with such a file. dvc.lock becomes the one that git holds, if any: a training from the last model
finds there which one that is. What finished since then dvc takes from its run-cache, so that nothing is trained again;
a missing rwlock, the list of current readers and writers, is created again. `make repro` runs this first. Complete
files are left alone, and so are those that a running dvc is about to finish, or in which git left a merge conflict.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from dvc.schema import COMPILED_LOCKFILE_SCHEMA
from dvc.utils.serialize import YAMLFileCorruptedError, load_yaml
from voluptuous import Invalid

from unetseg.provenance import git_problem

SECONDS_TO_FINISH = 1.0  # more than a running dvc takes to write the file


def read_lock(path: Path) -> None:
    """Read dvc.lock as dvc does."""
    COMPILED_LOCKFILE_SCHEMA(load_yaml(path))


def read_rwlock(path: Path) -> None:
    """Read the JSON of current readers and writers."""
    json.loads(path.read_text())


def is_whole(path: Path, read: Callable[[Path], None]) -> bool:
    """Tell whether dvc accepts the file; a missing one is fine."""
    try:
        read(path)
    except (YAMLFileCorruptedError, Invalid, ValueError):
        return not path.exists()
    except FileNotFoundError:
        pass
    return True


def main() -> None:
    """Check git, without which dvc does not start; restore or remove the files in this folder that dvc refuses."""
    if problem := git_problem(Path()):
        sys.exit(problem)
    for path, read in ((Path("dvc.lock"), read_lock), (Path(".dvc/tmp/rwlock"), read_rwlock)):
        if is_whole(path, read):
            continue
        time.sleep(SECONDS_TO_FINISH)
        if is_whole(path, read):
            continue
        if b"<<<<<<< " in path.read_bytes():
            rule = f"take one side, `git checkout --ours {path}` or `git checkout --theirs {path}`, then `dvc repro`"
            sys.exit(f"{path}: holds a merge conflict; {rule}")
        restore = ["git", "restore", "--", str(path)]  # fails if git lacks it
        subprocess.run(restore, check=False, capture_output=True)
        done = "restored from git (the last model is the one that it names)"
        if not is_whole(path, read):
            path.unlink(missing_ok=True)
            done = "removed"
        print(f"{path}: was left incomplete by a kill, {done}; finished stages come from the cache", file=sys.stderr)


if __name__ == "__main__":
    main()
