"""What is in a model's file, as far as it can be told without Keras: its origin, and what is refused."""

import io
import json
import stat
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

import h5py
import pydantic

from unetseg.errors import InputError, first_line

FACTS = "unetseg.json"
NEEDED = {"config.json", "model.weights.h5"}
LARGEST = {"model.weights.h5": 4 * 10**9}  # bytes of a member; the paper's U-Net has 124 MB of weights
LARGEST_OTHER = 20 * 10**6
MOST_FREE, MOST_RATIO = 10**7, 100  # beyond so many bytes, a member may unpack to so many times its packed size
# a RuntimeError: a member is encrypted, or JSON nested too deep
DAMAGE = (OSError, ValueError, KeyError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error)


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
        except DAMAGE as error:
            raise InputError(f"{path}: damaged, {FACTS}: {first_line(error)}") from error
    return dict(facts)


class _Loose(pydantic.BaseModel):
    """Facts that are used; others may stand beside them."""

    model_config = pydantic.ConfigDict(strict=True, extra="allow", allow_inf_nan=False)


class _Image(_Loose):
    mode: Literal["resize", "tiles"] = "resize"
    pixel_size: Annotated[float, pydantic.Field(ge=0)] = 0.0


class _Data(_Loose):
    channel: Annotated[int, pydantic.Field(ge=0)] | str = "all"
    project: Literal["none", "max", "mean"] = "none"


class _TrainedWith(_Loose):
    data: _Data = _Data()
    image: _Image = _Image()
    model: dict[str, Any] = {}


class _Facts(_Loose):
    threshold: float = pydantic.Field(0.5, gt=0, lt=1)
    trained_with: _TrainedWith = _TrainedWith()


def examine(path: Path) -> None:
    """Refuse what safe mode does not look at."""
    with _open(path) as file:
        for member in file.infolist():
            name, place = member.filename, PurePosixPath(member.filename)
            if "\\" in name or ":" in name or place.is_absolute() or ".." in place.parts:
                raise InputError(f"{path}: refused, its member {name!r} points outside the file")
            if stat.S_ISLNK(member.external_attr >> 16):
                raise InputError(f"{path}: refused, its member {name!r} is a link")
        if missing := NEEDED - set(file.namelist()):
            raise InputError(f"{path}: not a .keras file: it lacks {' and '.join(sorted(missing))}")
        try:
            for name in set(file.namelist()) - NEEDED:
                _read(file, name)
            config = _read(file, "config.json").decode()
            json.loads(config)
            with h5py.File(io.BytesIO(_read(file, "model.weights.h5"))) as h5:
                reasons = _outside(h5)
        except DAMAGE as error:
            raise InputError(f"{path}: damaged: {first_line(error)}") from error
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


def _open(path: Path) -> zipfile.ZipFile:
    if path.exists() and not path.is_file():
        raise InputError(f"{path}: not a .keras file: it is no regular file")
    try:
        return zipfile.ZipFile(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
    except DAMAGE as error:
        raise InputError(f"{path}: not a .keras file: {first_line(error)}") from error


def _read(file: zipfile.ZipFile, name: str) -> bytes:
    """Unpack a member, and no more of it than its limit."""
    limit = LARGEST.get(name, LARGEST_OTHER)
    packed = file.getinfo(name).compress_size
    with file.open(name) as stream:
        content = stream.read(min(limit, MOST_FREE + packed * MOST_RATIO) + 1)
        if stream.read(1) or len(content) > limit:
            raise InputError(f"{file.filename}: refused, its member {name} unpacks to far more than a model needs")
    return content
