"""Stages that are killed, that find the disk full, that run twice at once, that run again."""

import contextlib
import os
import random
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from pipeline import remove

KILLS = {"unzip": 20, "preprocess": 20, "split": 20, "train": 5, "evaluate": 5, "plot": 5}  # as each takes its time
FULL_AT = {"unzip": 50, "preprocess": 5000, "split": 100, "train": 5000, "evaluate": 300, "plot": 5000}  # bytes a file
START_TRAINING_AGAIN = {"train": {"epochs": 60}}


class Stage:
    """A stage of a finished project, to run many times."""

    def __init__(self, project, name):
        self.project, self.name = project, name
        self.expected, self.outs = project.contents(name), project.outs(name)
        self.log = project.folder / ".dvc" / "tmp" / "printed"
        command = shlex.split(project.stages()[name]["cmd"])[1:]
        self.process = subprocess.Popen(
            [sys.executable, Path(__file__).with_name("forking.py"), *command],
            cwd=project.folder,
            env=project.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout.readline() == "ready\n"

    def run(self, *, kill_after=None, limit=-1):
        """Remove the outputs, as dvc does, and run; give the exit status and the seconds that it took."""
        for out in self.outs:
            remove(out)
        print(limit, self.log, file=self.process.stdin, flush=True)
        started, child = time.monotonic(), int(self.process.stdout.readline())
        if kill_after is not None:
            time.sleep(kill_after)
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        status = int(self.process.stdout.readline())
        return status, time.monotonic() - started

    def whole_or_absent(self):
        """Tell whether every output that is there is the one of the undisturbed run."""
        found = self.project.contents(self.name)
        return all(files == self.expected[out] for out, files in found.items())

    def forget(self):
        """Remove the states of trainings."""
        remove(self.project.folder / ".unetseg")


@pytest.fixture(scope="module", params=KILLS)
def stage(request, finished, tmp_path_factory):
    stage = Stage(finished.copy(tmp_path_factory.mktemp("killed") / "project"), request.param)
    yield stage
    stage.process.communicate()  # closes its stdin, which ends it


def test_killed_at_any_moment_a_stage_leaves_whole_outputs_or_none(stage):
    stage.forget()
    status, seconds = stage.run()
    assert status == 0, stage.log.read_text()
    assert stage.project.contents(stage.name) == stage.expected
    stage.forget()
    rng, killed = random.Random(0), 0
    for _ in range(KILLS[stage.name]):
        status, taken = stage.run(kill_after=rng.uniform(0, seconds))
        killed += status == -signal.SIGKILL
        if status == 0:  # it ended before the kill: the next one comes sooner, into a training from its start
            seconds = min(seconds, taken)
            stage.forget()
        assert status in (0, -signal.SIGKILL), stage.log.read_text()
        assert stage.whole_or_absent()
    assert killed
    assert stage.run()[0] == 0, stage.log.read_text()
    assert stage.project.contents(stage.name) == stage.expected
    assert not list(stage.project.folder.rglob("*.partial"))


def test_a_full_disk_is_one_line_and_leaves_nothing_half_written(stage):
    stage.forget()
    status, _ = stage.run(limit=FULL_AT[stage.name])
    printed = stage.log.read_text()
    assert status == 1, printed
    assert re.search(r"^[^\s:]+: File too large$", printed.splitlines()[-1]), printed
    assert "Traceback" not in printed
    assert stage.whole_or_absent()
    assert not all(out.exists() for out in stage.outs)
    assert not list(stage.project.folder.rglob("*.partial"))


@pytest.fixture
def training(finished, tmp_path):
    """A project in which `dvc repro` has begun to train, and that dvc."""
    project = finished.copy(tmp_path / "project")
    project.change(START_TRAINING_AGAIN)
    dvc = project.start("dvc", "repro", "train")
    while "Epoch 1/" not in (line := dvc.stdout.readline()):
        assert line
    yield project, dvc
    with contextlib.suppress(ProcessLookupError):
        os.killpg(dvc.pid, signal.SIGKILL)
    dvc.communicate()


def test_a_second_repro_says_that_the_first_is_busy_and_leaves_it_alone(training):
    project, first = training
    first.send_signal(signal.SIGSTOP)  # however slow the second is, the first waits with its training
    stage = psutil.Process(first.pid).children(recursive=True)[-1]
    stage.suspend()
    status, printed = project.try_run("dvc", "repro")
    stage.resume()
    first.send_signal(signal.SIGCONT)
    assert status != 0
    assert "busy" in printed
    assert "Traceback" not in printed
    assert first.wait() == 0


def test_told_to_stop_dvc_takes_the_stage_with_it(training):
    _, dvc = training
    below = psutil.Process(dvc.pid).children(recursive=True)
    assert any("stages/train.py" in process.cmdline() for process in below)
    dvc.terminate()
    _, living = psutil.wait_procs(below, timeout=60)  # far more than it takes: the computer may be busy
    assert not living


def test_the_same_parameters_and_data_give_the_same_bytes(fresh, finished, tmp_path):
    again = fresh.copy(tmp_path / "project")
    again.dvc("repro")
    assert again.contents() == finished.contents()
