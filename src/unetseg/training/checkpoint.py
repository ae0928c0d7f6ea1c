"""Save and load the state of a training: complete, with checksums, the last two epochs."""

import json
import shutil
import sys
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from unetseg.files import atomic_path

Arrays = Mapping[str, Sequence[np.ndarray]]


def save_state(folder: Path, epoch: int, facts: Mapping[str, Any], arrays: Arrays) -> None:
    """Write the state after an epoch, keep that of the previous epoch, and remove older ones.

    Args:
        folder: where states are kept.
        epoch: how many epochs are done; names the file.
        facts: values that JSON stores exactly.
        arrays: lists of arrays by name.
    """
    members: dict[str, Any] = {
        f"{name}/{place:04d}": array for name, group in arrays.items() for place, array in enumerate(group)
    }
    lengths = {name: len(group) for name, group in arrays.items()}
    with atomic_path(folder / f"epoch-{epoch:06d}.npz") as path, path.open("wb") as file:
        np.savez(file, facts=np.array(json.dumps([facts, lengths])), **members)
    for old in _generations(folder)[2:]:
        old.unlink()


def load_state(folder: Path) -> tuple[dict[str, Any], dict[str, list[np.ndarray]]] | None:
    """Read the newest complete state, or None; report damaged ones on stderr."""
    for path in _generations(folder):
        try:
            with path.open("rb") as whole, np.load(whole) as file:  # a zip has checksums, reading compares them
                facts, lengths = json.loads(str(file["facts"]))  # a damaged zip may hide members without a word
                arrays = {
                    name: [file[f"{name}/{place:04d}"] for place in range(length)] for name, length in lengths.items()
                }
        except (OSError, ValueError, KeyError, EOFError, RuntimeError, zipfile.BadZipFile) as error:
            print(f"{path}: damaged, going back one epoch: {error}", file=sys.stderr)
            continue
        return facts, arrays
    return None


def forget_others(folder: Path) -> None:
    """Remove the states of all other trainings, in the folders beside this one.

    Those of a finished training stay: killed before `dvc` has noted its outputs, the stage is run again.
    """
    for other in set(folder.parent.iterdir()) - {folder}:
        shutil.rmtree(other, ignore_errors=True)


def _generations(folder: Path) -> list[Path]:
    """List the states, newest first."""
    return sorted(folder.glob("epoch-*.npz"), reverse=True)
