"""The one exception that is told to the user as a single line."""


class InputError(ValueError):
    """Say that something the user gave cannot be used: which file, which value, which rule.

    Stages and the command print it as one line (or one line a problem) and exit with status 1. Any other exception is a
    defect of this project and keeps its traceback.
    """
