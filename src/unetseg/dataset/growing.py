"""Write .npy files whose number of rows is not known in advance."""

import contextlib
import math
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import DTypeLike


@contextlib.contextmanager
def growing(path: Path, dtype: DTypeLike, shape: tuple[int, ...]) -> Iterator[Callable[[np.ndarray], None]]:
    """Open a .npy file that grows row by row; yield the function that appends one row or several.

    Not a memory map: what is written to one counts as this process's memory, and a full disk kills the process.
    """
    rows, row_bytes = 0, np.dtype(dtype).itemsize * math.prod(shape)

    def write_header() -> None:
        kind = np.lib.format.dtype_to_descr(np.dtype(dtype))
        header = {"descr": kind, "fortran_order": False, "shape": (rows, *shape)}
        np.lib.format.write_array_header_1_0(file, header)  # leaves room for the number of rows to grow

    def append(row: np.ndarray) -> None:
        nonlocal rows
        file.write(content := row.tobytes())
        rows += len(content) // row_bytes

    with path.open("wb") as file:
        write_header()
        yield append
        file.seek(0)
        write_header()
