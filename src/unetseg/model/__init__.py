"""The U-Net and its file. Importing this imports Keras and silences what TensorFlow prints while it is imported."""

import contextlib
import os
from collections.abc import Iterator

from unetseg.parallel import limit_threads


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


limit_threads()
with _silence():
    import keras

__all__ = ["keras"]
