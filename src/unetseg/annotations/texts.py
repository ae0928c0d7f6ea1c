"""JSON from other programs, told about in one line where it is none."""

import json
from pathlib import Path
from typing import Any

from unetseg.errors import InputError


def load_json(path: Path) -> Any:
    """Read a JSON file in UTF-8, with or without a byte order mark.

    Raises:
        InputError: naming the file, if it cannot be read.
    """
    try:
        return json.loads(path.read_bytes().decode("utf-8-sig"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: is not JSON ({error})") from error
