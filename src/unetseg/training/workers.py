"""Start the processes of a training that act as one."""

import contextlib
import importlib.util
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence

from unetseg.errors import InputError

WORKER = "UNETSEG_WORKER"  # set for processes that `start_workers` starts
RANK = "KERAS_DISTRIBUTION_PROCESS_ID"  # Keras' own, for processes that the user starts on each host
TASKS = "SLURM_NTASKS"


def is_worker() -> bool:
    """Tell whether this process is one of a training's, started by `start_workers` or by the user on each host."""
    return WORKER in os.environ or RANK in os.environ


def start_workers() -> None:
    """Run this very command in each process of the training, on JAX, and wait: if one fails, all end.

    Under Slurm `srun` starts SLURM_NTASKS of them, on all nodes; elsewhere there are UNETSEG_WORKERS (default: 1) here.

    Raises:
        InputError: with what the failed process said, or its rank and status, or if JAX is not installed.
    """
    if not importlib.util.find_spec("jax"):
        raise InputError("train.distribute: data_parallel needs JAX: install it with `pip install 'unetseg[jax]'`")
    started = worker_commands(os.environ, [sys.executable, *sys.argv])
    with contextlib.ExitStack() as stack:
        said = [stack.enter_context(tempfile.TemporaryFile("w+", errors="replace")) for _ in started]
        processes = [
            subprocess.Popen(command, env=environment, stderr=log, stdout=subprocess.DEVNULL if rank else None)
            for rank, ((command, environment), log) in enumerate(zip(started, said, strict=True))
        ]
        try:
            while not any(statuses := [process.poll() for process in processes]) and None in statuses:
                time.sleep(0.1)
        finally:
            for process in processes:
                process.terminate() if len(processes) == 1 else process.kill()
            for process in processes:
                process.wait()
        failed = [(status, rank) for rank, status in enumerate(statuses) if status]
        status, rank = min(failed, default=(0, 0))  # a killed one first: the others failed by it
        said[rank].seek(0)
        lines = said[rank].read().splitlines()
    if status == 1:
        raise InputError(*lines)
    if status:
        raise InputError(f"process {rank} of {len(processes)} ended with status {status}; run it again to resume")
    for line in lines:
        print(line, file=sys.stderr)


def worker_commands(environment: Mapping[str, str], command: Sequence[str]) -> list[tuple[list[str], dict[str, str]]]:
    """Give the command and environment of each process that `start_workers` starts."""
    common = {**environment, "KERAS_BACKEND": "jax", WORKER: "1"}
    if whole_number(TASKS, environment) > 1:
        return [(["srun", "--kill-on-bad-exit=1", *command], common)]
    if (count := whole_number("UNETSEG_WORKERS", environment)) == 1:
        return [([*command], common)]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    own = {"KERAS_DISTRIBUTION_JOB_ADDRESSES": address, "KERAS_DISTRIBUTION_NUM_PROCESSES": str(count)}
    return [([*command], common | own | {RANK: str(rank)}) for rank in range(count)]


def whole_number(name: str, environment: Mapping[str, str] = os.environ) -> int:
    """Read a number of processes from an environment variable; 1 where it is not set.

    Raises:
        InputError: if it is no whole number from 1 up.
    """
    text = environment.get(name, "1")
    with contextlib.suppress(ValueError):
        if (number := int(text)) >= 1:
            return number
    raise InputError(f"{name}: {text!r} is not a whole number from 1 up, the number of processes; change or unset it")
