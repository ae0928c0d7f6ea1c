"""Models on disk: same bytes for same weights, facts of their origin inside, strangers' files read with care."""

import errno
import io
import json
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import h5py
import keras

from unetseg.errors import InputError
from unetseg.files import atomic_path

FACTS = "unetseg.json"
FULL = {errno.ENOSPC, errno.EFBIG, errno.EDQUOT}
EARLIEST = (1980, 1, 1, 0, 0, 0)  # a zip's first date: a date of its own would make each save another file


def save_model(path: Path, model: keras.Model, facts: Mapping[str, Any]) -> None:
    """Save a model for inference, without the state of its training, with facts about its origin.

    Args:
        path: a `.keras` file.
        model: of Keras' own layers and operations only.
        facts: JSON; what `read_facts` gives back.
    """
    plain = keras.Model.from_config(model.get_config())  # a loss of ours would not load elsewhere
    plain.set_weights(model.get_weights())
    with atomic_path(path) as beside:
        kept = beside.with_name("kept.keras")
        plain.save(kept)
        with zipfile.ZipFile(kept) as source, zipfile.ZipFile(beside, "w", zipfile.ZIP_DEFLATED) as target:
            for name in sorted(source.namelist()):
                content = source.read(name)
                if name == "metadata.json":
                    content = json.dumps({**json.loads(content), "date_saved": None}).encode()
                target.writestr(zipfile.ZipInfo(name, EARLIEST), content, zipfile.ZIP_DEFLATED)
            target.writestr(zipfile.ZipInfo(FACTS, EARLIEST), json.dumps(facts, indent=2))


def load_model(path: Path) -> keras.Model:
    """Load a model in safe mode, from anyone.

    Raises:
        InputError: if the file is none, runs code, reads other files or does not fit this version of Keras.
        OSError: if the folder for temporary files, where Keras unpacks it, is full.
    """
    _examine(path)
    try:
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except (ValueError, TypeError, KeyError, OSError, AttributeError, ImportError) as error:
        if isinstance(error, OSError) and error.errno in FULL:
            raise OSError(error.errno, error.strerror, tempfile.gettempdir()) from error  # where Keras unpacks it
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise InputError(f"{path}: refused, Keras cannot load it safely: {reason}") from error


def read_facts(path: Path) -> dict[str, Any]:
    """Read what `save_model` was told of the model's origin; empty for a model saved by others."""
    with _open(path) as file:
        return dict(json.loads(file.read(FACTS))) if FACTS in file.namelist() else {}


def _open(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except zipfile.BadZipFile as error:
        raise InputError(f"{path}: not a .keras file: {error}") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error


def _examine(path: Path) -> None:
    """Refuse what safe mode does not look at."""
    with _open(path) as file:
        for name in file.namelist():
            if "\\" in name or ":" in name or PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
                raise InputError(f"{path}: refused, its member {name!r} points outside the file")
        missing = {"config.json", "model.weights.h5"} - set(file.namelist())
        if missing:
            raise InputError(f"{path}: not a .keras file: it lacks {' and '.join(sorted(missing))}")
        try:
            config = file.read("config.json").decode()
            json.loads(config)
            weights = io.BytesIO(file.read("model.weights.h5"))
            with h5py.File(weights) as h5:
                reasons = _outside(h5)
        except (OSError, ValueError, RuntimeError, NotImplementedError, zipfile.BadZipFile) as error:
            raise InputError(f"{path}: damaged: {error}") from error
    if reasons:
        raise InputError(f"{path}: refused, its weights {reasons[0]}")
    if '"Lambda"' in config:
        raise InputError(f"{path}: refused, its Lambda layer could run any code")


def _outside(weights: h5py.File) -> list[str]:
    """List what of the weights stands in other files, which loading would read."""
    found: list[str] = []

    def look_at_link(name: str, link: object) -> None:
        if isinstance(link, h5py.ExternalLink):
            found.append(f"{name!r} are a link to the file {link.filename!r}")

    def look_at_item(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset) and (item.external or item.is_virtual):
            found.append(f"{name!r} are stored in other files")

    weights.visititems_links(look_at_link)
    weights.visititems(look_at_item)
    return found
