"""Stages that are killed, that find the disk full, that run twice at once, that run again."""

import contextlib
import os
import random
import re
import shlex
import signal
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from pipeline import remove

KILLS = {"unzip": 6, "preprocess": 6, "split": 4, "train": 3, "evaluate": 2, "plot": 2}  # as each takes its time
FULL_AT = {"unzip": 50, "preprocess": 5000, "split": 100, "train": 5000, "evaluate": 300, "plot": 5000}  # bytes a file
START_TRAINING_AGAIN = {"train": {"epochs": 200}}


class Stage:
    """A stage of a finished project, to run many times."""

    def __init__(self, project, name):
        self.project, self.name = project, name
        self.expected, self.outs = project.contents(name), project.outs(name)
        self.command = shlex.split(project.stages()[name]["cmd"])
        self.seconds = float((project.folder / ".dvc" / "tmp" / "seconds" / name).read_text())  # of its first run
        self.printed = ""

    def run(self, *, kill_after=None, limit=None):
        """Remove the outputs, as dvc does, and run; give the exit status and the seconds that it took."""
        for out in self.outs:
            remove(out)
        python, *words = self.command
        limited = [str(Path(__file__).with_name("limited.py")), str(limit)] if limit else []
        started, process = time.monotonic(), self.project.start(python, *limited, *words)
        try:
            self.printed, _ = process.communicate(timeout=kill_after)
        except subprocess.TimeoutExpired:
            process.kill()
            self.printed, _ = process.communicate()
        return process.returncode, time.monotonic() - started

    def whole_or_absent(self):
        """Tell whether every output that is there is the one of the undisturbed run."""
        found = self.project.contents(self.name)
        return all(files == self.expected[out] for out, files in found.items())

    def forget(self):
        """Remove the states of trainings."""
        remove(self.project.folder / ".unetseg")


@pytest.fixture(scope="module", params=KILLS)
def stage(request, finished, tmp_path_factory):
    return Stage(finished.copy(tmp_path_factory.mktemp("killed") / "project"), request.param)


def test_killed_at_any_moment_a_stage_leaves_whole_outputs_or_none(stage):
    stage.forget()
    rng, number, killed, seconds = random.Random(0), 0, 0, stage.seconds
    while number < (count := KILLS[stage.name]) or not killed:  # in each part of the time once
        status, taken = stage.run(kill_after=(number % count + rng.random()) / count * seconds)
        number, killed = number + 1, killed + (status == -signal.SIGKILL)
        if status == 0:  # it ended before the kill: the next one comes sooner, into a training from its start
            seconds = min(seconds, taken)
            stage.forget()
        assert status in (0, -signal.SIGKILL), stage.printed
        assert stage.whole_or_absent()
    assert stage.run()[0] == 0, stage.printed
    assert stage.project.contents(stage.name) == stage.expected
    assert not list(stage.project.folder.rglob("*.partial"))


def test_a_full_disk_is_one_line_and_leaves_nothing_half_written(stage):
    stage.forget()
    status, _ = stage.run(limit=FULL_AT[stage.name])
    printed = stage.printed
    assert status == 1, printed
    assert re.search(r"^[^\s:]+: File too large$", printed.splitlines()[-1]), printed
    assert "Traceback" not in printed
    assert stage.whole_or_absent()
    assert not all(out.exists() for out in stage.outs)
    assert not list(stage.project.folder.rglob("*.partial"))


@pytest.fixture(scope="module")
def training(finished, tmp_path_factory):
    """A project in which `dvc repro` has begun to train, and that dvc."""
    project = finished.copy(tmp_path_factory.mktemp("training") / "project")
    project.change(START_TRAINING_AGAIN)
    dvc = replace(project, cold=True).start("dvc", "repro", "train")
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
    while "Epoch" not in (line := first.stdout.readline()):
        assert line


def test_told_to_stop_dvc_takes_the_stage_with_it(training):
    _, dvc = training
    below = psutil.Process(dvc.pid).children(recursive=True)
    assert any("stages/train.py" in process.cmdline() for process in below)
    dvc.terminate()
    _, living = psutil.wait_procs(below, timeout=60)  # far more than it takes: the computer may be busy
    assert not living
