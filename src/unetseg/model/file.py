"""Models on disk: same bytes for same weights, facts of their origin inside, strangers' files read with care."""

import contextlib
import errno
import io
import json
import stat
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import h5py
import keras
import numpy as np
import pydantic

from unetseg.errors import InputError
from unetseg.files import atomic_path

FACTS = "unetseg.json"
LARGEST = {"model.weights.h5": 4 * 10**9}  # bytes of a member; the paper's U-Net has 124 MB of weights
LARGEST_OTHER = 20 * 10**6
MOST_FREE, MOST_RATIO = 10**7, 100  # beyond so many bytes, a member may unpack to so many times its packed size
DAMAGE = (OSError, ValueError, KeyError, EOFError, RuntimeError, NotImplementedError, zipfile.BadZipFile, zlib.error)
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
    """Load a segmentation model in safe mode, from anyone.

    Returns:
        A model of float32 (B, size, size, 3), RGB in 0…255, to probabilities (B, size, size, 1).

    Raises:
        InputError: if the file is none, runs code, reads other files, unpacks to absurd sizes or does not fit this
            version of Keras; if the model takes or gives something else, or its weights are no numbers.
        OSError: if the folder for temporary files, where Keras unpacks it, is full.
    """
    _examine(path)
    try:
        with _scratch():
            model = keras.saving.load_model(path, compile=False, safe_mode=True)
    except (ValueError, TypeError, KeyError, OSError, AttributeError, ImportError) as error:
        if isinstance(error, OSError) and error.errno in FULL:
            raise OSError(error.errno, error.strerror, tempfile.gettempdir()) from error  # where Keras unpacks it
        raise InputError(f"{path}: refused, Keras cannot load it safely: {_first_line(error)}") from error
    if problem := _unusable(model):
        raise InputError(f"{path}: refused, {problem}")
    return model


def read_facts(path: Path) -> dict[str, Any]:
    """Read what `save_model` was told of the model's origin; empty for a model saved by others.

    Raises:
        InputError: if they are no facts, or not what this package writes.
    """
    with _open(path) as file:
        if FACTS not in file.namelist():
            return {}
        try:
            facts = json.loads(_read(file, FACTS))
            _Facts.model_validate(facts)
        except pydantic.ValidationError as error:
            wrong = error.errors()[0]
            place = ".".join(map(str, (FACTS, *wrong["loc"])))
            rule = "is not a JSON object" if wrong["type"] == "model_type" else wrong["msg"].lower()
            raise InputError(f"{path}: damaged, {place}: {rule}") from error
        except (*DAMAGE, RecursionError) as error:
            raise InputError(f"{path}: damaged, {FACTS}: {_first_line(error)}") from error
    return dict(facts)


class _Loose(pydantic.BaseModel):
    """Facts that are used; others may stand beside them."""

    model_config = pydantic.ConfigDict(strict=True, extra="allow", allow_inf_nan=False)


class _Image(_Loose):
    mode: Literal["resize", "tiles"] = "resize"


class _TrainedWith(_Loose):
    image: _Image = _Image()
    model: dict[str, Any] = {}


class _Facts(_Loose):
    threshold: float = pydantic.Field(0.5, gt=0, lt=1)
    trained_with: _TrainedWith = _TrainedWith()


@contextlib.contextmanager
def _scratch() -> Iterator[None]:
    """Remove what Keras leaves in the folder for temporary files when it refuses a model."""
    before = tempfile.tempdir
    with tempfile.TemporaryDirectory() as folder:
        tempfile.tempdir = folder
        try:
            yield
        finally:
            tempfile.tempdir = before


def _unusable(model: keras.Model) -> str | None:
    """Say why a model cannot segment images, after a look at its shape, its weights and what it gives for images."""
    shapes = [tuple(tensor.shape) for tensor in (*getattr(model, "inputs", ()), *getattr(model, "outputs", ()))]
    size = shapes[0][1] if shapes and len(shapes[0]) == 4 else None
    if not isinstance(size, int) or shapes != [(None, size, size, 3), (None, size, size, 1)]:
        return f"a model takes images (size, size, 3) and gives (size, size, 1); this one has {shapes}"
    if not all(np.isfinite(weight).all() for weight in model.get_weights()):
        return "its weights hold NaN or infinity"
    noise = np.random.default_rng(0).uniform(0, 255, (size, size, 3))
    images = np.stack([noise, np.zeros_like(noise), np.full_like(noise, 255)]).astype(np.float32)
    try:
        given = keras.ops.convert_to_numpy(model(images, training=False))
    except Exception as error:
        return f"it fails on an image: {_first_line(error)}"
    if not (np.isfinite(given).all() and given.min() >= 0 and given.max() <= 1):
        return f"it gives {given.min():.3g} to {given.max():.3g}, no probabilities; does it end without a sigmoid?"
    return None


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]


def _open(path: Path) -> zipfile.ZipFile:
    if path.exists() and not path.is_file():
        raise InputError(f"{path}: not a .keras file: it is no regular file")
    try:
        return zipfile.ZipFile(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
    except DAMAGE as error:
        raise InputError(f"{path}: not a .keras file: {_first_line(error)}") from error


def _read(file: zipfile.ZipFile, name: str) -> bytes:
    """Unpack a member, and no more of it than its limit."""
    limit = LARGEST.get(name, LARGEST_OTHER)
    packed = file.getinfo(name).compress_size
    with file.open(name) as stream:
        content = stream.read(min(limit, MOST_FREE + packed * MOST_RATIO) + 1)
        if stream.read(1) or len(content) > limit:
            raise InputError(f"{file.filename}: refused, its member {name} unpacks to far more than a model needs")
    return content


def _examine(path: Path) -> None:
    """Refuse what safe mode does not look at."""
    with _open(path) as file:
        for member in file.infolist():
            name, place = member.filename, PurePosixPath(member.filename)
            if "\\" in name or ":" in name or place.is_absolute() or ".." in place.parts:
                raise InputError(f"{path}: refused, its member {name!r} points outside the file")
            if stat.S_ISLNK(member.external_attr >> 16):
                raise InputError(f"{path}: refused, its member {name!r} is a link")
        missing = {"config.json", "model.weights.h5"} - set(file.namelist())
        if missing:
            raise InputError(f"{path}: not a .keras file: it lacks {' and '.join(sorted(missing))}")
        try:
            for name in set(file.namelist()) - {"config.json", "model.weights.h5"}:
                _read(file, name)
            config = _read(file, "config.json").decode()
            json.loads(config)
            with h5py.File(io.BytesIO(_read(file, "model.weights.h5"))) as h5:
                reasons = _outside(h5)
        except (*DAMAGE, RecursionError) as error:
            raise InputError(f"{path}: damaged: {_first_line(error)}") from error
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
