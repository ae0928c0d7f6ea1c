"""Run a stage many times, importing TensorFlow once: `python forking.py stages/train.py --arrays …`.

Each line on stdin starts a run: the largest file in bytes that it may write (-1: any) and a file for what it prints.
Its process id and, when it has ended, its exit status are written to stdout.
"""

import os
import resource
import runpy
import signal
import sys

script = sys.argv[1]
sys.argv = sys.argv[1:]
runpy.run_path(script)  # under another name than __main__: imports all, runs nothing

print("ready", flush=True)
for line in sys.stdin:
    limit, log = line.split()
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # as where the disk is full: the write fails, the process lives
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), resource.RLIM_INFINITY))
        printed = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(printed, 1)
        os.dup2(printed, 2)
        runpy.run_path(script, run_name="__main__")
        sys.exit()
    print(child, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
