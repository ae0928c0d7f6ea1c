"""Models on disk: same bytes for same weights, facts of their origin inside, strangers' files read with care."""

import contextlib
import json
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from unetseg.errors import InputError, first_line
from unetseg.files import FULL, atomic_path
from unetseg.model import keras
from unetseg.model.facts import FACTS, examine
from unetseg.parallel import refuse_fork

EARLIEST = (1980, 1, 1, 0, 0, 0)  # a zip's first date: a date of its own would make each save another file


def save_model(path: Path, model: keras.Model, facts: Mapping[str, Any]) -> None:
    """Save a model of Keras' own layers for inference, without the state of its training, with facts about its origin.

    The facts are JSON, which `unetseg.model.facts.read_facts` gives back.
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
            version of Keras; if the model takes or gives something else, or its weights are no numbers; in a fork of a
            process that has used a model.
        OSError: if the folder for temporary files, where Keras unpacks it, is full.
    """
    refuse_fork()
    examine(path)
    try:
        with _scratch():
            model = keras.saving.load_model(path, compile=False, safe_mode=True)
    except (ValueError, TypeError, KeyError, OSError, AttributeError, ImportError) as error:
        if isinstance(error, OSError) and error.errno in FULL:
            raise OSError(error.errno, error.strerror, tempfile.gettempdir()) from error  # where Keras unpacks it
        raise InputError(f"{path}: refused, Keras cannot load it safely: {first_line(error)}") from error
    if problem := _unusable(model):
        raise InputError(f"{path}: refused, {problem}")
    return model


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
    if (dtype := str(model.inputs[0].dtype)) != "float32":
        return f"a model takes float32; this one takes {dtype}"
    if not all(np.isfinite(weight).all() for weight in model.get_weights()):
        return "its weights hold NaN or infinity"
    noise = np.random.default_rng(0).uniform(0, 255, (size, size, 3))
    images = np.stack([noise, np.zeros_like(noise)]).astype(np.float32)  # of an even image the deviation is 0
    try:
        given = keras.ops.convert_to_numpy(model(images, training=False))
    except Exception as error:
        return f"it fails on an image: {first_line(error)}"
    if not (np.isfinite(given).all() and given.min() >= 0 and given.max() <= 1):
        return f"it gives {given.min():.3g} to {given.max():.3g}, no probabilities; does it end without a sigmoid?"
    return None
