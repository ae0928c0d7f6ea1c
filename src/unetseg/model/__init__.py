"""The U-Net and its file. `from unetseg.model import keras` imports Keras in silence, and no more than it needs."""

import contextlib
import gc
import json
import os
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unetseg.errors import InputError
from unetseg.parallel import limit_threads

if TYPE_CHECKING:
    import keras as keras

__all__ = ["keras"]

OTHERS = "choose tensorflow or jax"
BACKENDS = {  # what to do where Keras is told to run on one that is absent
    "jax": "install it with `pip install 'unetseg[jax]'`, or choose tensorflow",
    "torch": OTHERS,
    "openvino": OTHERS,
}
PRETRAINED = Path(__file__).parents[1] / "pretrained" / "nuclei.keras"  # in a clone by a link, in a wheel a copy
UNUSED = ("matplotlib", "pandas", "sklearn")  # Keras imports them, where they are installed, for parts not used here


def __getattr__(name: str) -> Any:
    """Import Keras when it is needed: it takes seconds, and the facts in a model's file are read without it."""
    if name != "keras":
        raise AttributeError(f"module 'unetseg.model' has no attribute {name!r}")
    limit_threads()
    if "keras" in sys.modules:
        return sys.modules["keras"]
    backend, chosen = _backend()
    if backend not in ("tensorflow", *BACKENDS):
        raise InputError(f"{chosen}: {backend!r:.40}: {OTHERS}")
    try:
        with _silence(), _only_what_is_needed(backend):
            return import_module("keras")
    except ModuleNotFoundError as error:
        if error.name not in BACKENDS:
            raise
        rule = f"asks for {error.name}, which is not installed; {BACKENDS[error.name]}"
        raise InputError(f"{chosen}: {rule}") from error


@contextlib.contextmanager
def _only_what_is_needed(backend: str) -> Iterator[None]:
    """Hide optional packages from Keras and TensorFlow, and collect no garbage: half of the seconds of their import.

    What they have made by then stays, so that no later collection has to look through it.
    """
    modules: dict[str, Any] = sys.modules
    hidden = {*UNUSED, *(() if backend == "jax" else ("jax",))} - modules.keys()
    collects = gc.isenabled()
    gc.disable()
    modules.update(dict.fromkeys(hidden))  # None makes `import` raise, as if the package were not installed
    try:
        yield
    finally:
        for name in hidden:
            modules.pop(name, None)
        gc.freeze()
        if collects:
            gc.enable()


def _backend() -> tuple[Any, str]:
    """Give the backend that Keras will take, and what chooses it: the environment, else Keras' own file."""
    if chosen := os.environ.get("KERAS_BACKEND"):
        return chosen, "KERAS_BACKEND"
    file = Path(os.environ.get("KERAS_HOME", Path.home() / ".keras"), "keras.json").expanduser()
    stated: Any = {}
    with contextlib.suppress(OSError, ValueError):
        stated = json.loads(file.read_text())
    if not isinstance(stated, dict):
        raise InputError(f"{file}: is no object of JSON, as Keras' own file has to be; remove it")
    return stated.get("backend", "tensorflow"), str(file)


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Send what is written to stderr nowhere; TensorFlow writes from C++, before it can be told not to."""
    try:
        kept = os.dup(2)
    except OSError:  # closed, as by `2>&-`: it stays nowhere, lest a file gets its number, and what is written there
        kept = os.open(os.devnull, os.O_WRONLY)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        for each in {kept, nowhere} - {2}:
            os.close(each)
