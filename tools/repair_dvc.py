"""Remove files that are incomplete because dvc was killed while it wrote them: dvc.lock and .dvc/tmp/rwlock.

dvc refuses to start with such a file. Without dvc.lock it takes finished stages from its run-cache, so that nothing is
trained again; a missing rwlock, the list of current readers and writers, is created again. `make repro` runs this
first. Complete files are left alone, and so are those that a running dvc is about to finish.
"""

import json
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
    """Check git, without which dvc does not start; remove the files in this folder that dvc refuses."""
    if problem := git_problem(Path()):
        sys.exit(problem)
    for path, read in ((Path("dvc.lock"), read_lock), (Path(".dvc/tmp/rwlock"), read_rwlock)):
        if is_whole(path, read):
            continue
        time.sleep(SECONDS_TO_FINISH)
        if not is_whole(path, read):
            path.unlink(missing_ok=True)
            print(
                f"{path}: was left incomplete by a kill, removed; finished stages come from the cache", file=sys.stderr
            )


if __name__ == "__main__":
    main()
