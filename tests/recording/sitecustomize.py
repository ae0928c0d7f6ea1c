"""Note what a stage that dvc runs opens inside its project, and its time; Python imports this module as it starts."""

import atexit
import os
import sys
import time
from pathlib import Path

OPENING = ("open", "os.listdir", "os.scandir")

if stage := os.environ.get("DVC_STAGE"):
    root = f"{Path.cwd()}{os.sep}"
    noted = set()
    for folder in ("opened", "seconds"):
        Path(".dvc/tmp", folder).mkdir(parents=True, exist_ok=True)
    log = os.open(f".dvc/tmp/opened/{stage}", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    seconds = os.open(f".dvc/tmp/seconds/{stage}", os.O_WRONLY | os.O_TRUNC | os.O_CREAT)

    def note(event, arguments):
        if event in OPENING and isinstance(arguments[0], str | bytes | os.PathLike):
            path = str(Path(os.fsdecode(arguments[0])).absolute())
            if path.startswith(root) and path not in noted:
                noted.add(path)
                os.write(log, f"{path.removeprefix(root)}\n".encode())

    sys.addaudithook(note)
    started = time.monotonic()
    atexit.register(lambda: os.write(seconds, f"{time.monotonic() - started}".encode()))
