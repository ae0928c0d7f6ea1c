"""Remove a dvc.lock that is cut off: dvc writes it in place, and may be killed while it does.

dvc refuses to start beside such a file. Without it, dvc takes the stages that ran before from its run-cache, so that
nothing is trained again. `make repro` runs this first; a whole dvc.lock stays as it is.
"""

import sys
from pathlib import Path

from dvc.schema import COMPILED_LOCKFILE_SCHEMA
from dvc.utils.serialize import YAMLFileCorruptedError, load_yaml
from voluptuous import Invalid


def is_whole(lock: Path) -> bool:
    """Tell whether dvc would take the file."""
    try:
        COMPILED_LOCKFILE_SCHEMA(load_yaml(lock))
    except (YAMLFileCorruptedError, Invalid):
        return False
    return True


def main(lock: Path = Path("dvc.lock")) -> None:
    """Look at the lock file of this folder, and remove it if dvc would refuse it."""
    if lock.exists() and not is_whole(lock):
        lock.unlink()
        print(f"{lock}: was cut off by a kill, removed; what ran before comes from the cache", file=sys.stderr)


if __name__ == "__main__":
    main()
