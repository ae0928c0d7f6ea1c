"""The one exception that is told to the user in plain lines, and how names are printed."""

import threading

STOPPED = threading.Event()  # set when a signal stops this process: Keras drops the exception in some places on JAX


class InputError(ValueError):
    """Say that something the user gave cannot be used: which file, which value, which rule.

    Stages and the command print it as one line (or one line per problem) and fail. Any other exception is a defect of
    this project and keeps its traceback.
    """

    def __init__(self, *lines: str) -> None:
        """Take a line for each problem; what a file's name may hold but a terminal should not see is escaped."""
        super().__init__(*map(printable, lines))

    def __str__(self) -> str:
        """Join the lines."""
        return "\n".join(self.args)


class ModelError(InputError):
    """Say that a model cannot predict an image; who knows the image's name puts it before."""


def first_line(error: Exception) -> str:
    """Give the first line of what a library says, or the kind of the exception where it says nothing."""
    line = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return line.partition(" <_io")[0][:300]  # Pillow adds an address


def printable(text: object) -> str:
    r"""Escape control characters, line breaks and bytes that are not UTF-8, which may stand in the name of a file.

    Example:
        >>> print(printable("zelle\n\x1b[31m.png"))
        zelle\n\x1b[31m.png
    """
    return "".join(character if character.isprintable() else _escaped(character) for character in str(text))


def _escaped(character: str) -> str:
    byte = ord(character) - 0xDC00  # how Python holds a byte of a name that is not UTF-8
    return f"\\x{byte:02x}" if 0x80 <= byte <= 0xFF else character.encode("unicode_escape").decode()
