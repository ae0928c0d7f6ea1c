"""Run a program whose files may not grow, as on a full disk: `python limited.py BYTES stages/train.py …`."""

import resource
import runpy
import signal
import sys
from pathlib import Path

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # as where the disk is full: the write fails, the process lives
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), resource.RLIM_INFINITY))
sys.argv = sys.argv[2:]
sys.path[0] = str(Path(sys.argv[0]).parent)
runpy.run_path(sys.argv[0], run_name="__main__")
