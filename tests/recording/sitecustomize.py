"""Note what a stage that dvc runs opens inside its project; Python imports this module as it starts."""

import os
import sys
from pathlib import Path

OPENING = ("open", "os.listdir", "os.scandir")

if stage := os.environ.get("DVC_STAGE"):
    root = f"{Path.cwd()}{os.sep}"
    noted = set()
    Path(".dvc/tmp/opened").mkdir(parents=True, exist_ok=True)
    log = os.open(f".dvc/tmp/opened/{stage}", os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def note(event, arguments):
        if event in OPENING and isinstance(arguments[0], str | bytes | os.PathLike):
            path = str(Path(os.fsdecode(arguments[0])).absolute())
            if path.startswith(root) and path not in noted:
                noted.add(path)
                os.write(log, f"{path.removeprefix(root)}\n".encode())

    sys.addaudithook(note)
