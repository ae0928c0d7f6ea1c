"""The U-Net and its file. `from unetseg.model import keras` silences what TensorFlow prints while it is imported."""

import contextlib
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from unetseg.parallel import limit_threads

if TYPE_CHECKING:
    import keras as keras

__all__ = ["keras"]


def __getattr__(name: str) -> Any:
    """Import Keras when it is needed: it takes seconds, and the facts in a model's file are read without it."""
    if name != "keras":
        raise AttributeError(f"module 'unetseg.model' has no attribute {name!r}")
    limit_threads()
    with _silence():
        import keras  # noqa: PLC0415 - see above
    return keras


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Send what is written to stderr nowhere; TensorFlow writes from C++, before it can be told not to."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
