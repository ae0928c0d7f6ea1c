"""Kill `dvc repro` at random moments, start it again, and compare what it ends with to a run that nothing disturbed.

Each chain is a fresh clone of the last commit, with a cache of its own, the bundled sample and a short training. It
is killed and started again at once, kill after kill, and at last left to end. Before each start, tools/repair_dvc.py
looks at the files that dvc writes in place, as in `make repro`: a kill may cut one off. A kill falls into a stage
drawn at random (dvc's own start is one more), at a random moment of the CPU time that the stage usually takes, with
what dvc does after it. It hits the whole process group, dvc alone or the stage alone, by SIGKILL or SIGTERM. Then
every file of data/, models/ and metrics/ is compared, byte by byte.

    python benchmarks/kill.py --kills 100 --chain 10
    python benchmarks/kill.py --stage train --kills 20
"""

import argparse
import contextlib
import itertools
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import psutil
from dvc.utils.serialize import modify_yaml

ROOT = Path(__file__).parents[1]
STAGES = ["start", "unzip", "preprocess", "split", "train", "evaluate", "plot"]  # start: of dvc itself
SHORT = {
    "image": {"size": 64},
    "model": {"base_filters": 8, "depth": 2},
    "train": {"epochs": 4, "crop": 32, "crop_epochs": 2},
}
TARGETS, SIGNALS = ["group", "dvc", "stage"], [signal.SIGKILL, signal.SIGKILL, signal.SIGTERM]
RUNNING, BEGUN, DONE = r"^Running stage '(\w+)':$", r"^(?:Epoch \d+/|resumed after epoch )", r"^\d+/\d+ - .* val_loss: "


class Run:
    """A `dvc repro` under way, and what it printed so far."""

    def __init__(self, clone: Path) -> None:
        """Start it in its own process group, as `make repro` does."""
        repair = [sys.executable, clone / "tools" / "repair_dvc.py"]
        self.repaired = subprocess.run(repair, cwd=clone, check=True, capture_output=True).stderr.count(b"\n")
        self.log = clone / ".dvc" / "tmp" / "printed"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                ["dvc", "repro"], cwd=clone, env=environment(clone), stdout=log, stderr=log, start_new_session=True
            )
        self.dvc = psutil.Process(self.process.pid)
        self.used, self.since = 0.0, {"start": 0.0}  # CPU seconds, now and where each stage began

    def stage(self) -> str:
        """Give the stage that runs, or ran last."""
        for name in re.findall(RUNNING, self.log.read_text(), re.MULTILINE):
            if name not in self.since:
                self.since[name] = self.seconds()
        return list(self.since)[-1]

    def seconds(self) -> float:
        """Give the CPU seconds of dvc and all below it."""
        with contextlib.suppress(psutil.Error):
            own, below = self.dvc.cpu_times(), [process.cpu_times() for process in self.dvc.children(recursive=True)]
            self.used = sum(own[:4]) + sum(sum(times[:2]) for times in below)
        return self.used

    def ends_before(self, stage: str, seconds: float = 0) -> bool:
        """Wait until the stage, or one after it, has run for so many CPU seconds; tell whether all ended before."""
        while self.process.poll() is None:
            now, used = self.stage(), self.seconds()
            if STAGES.index(now) >= STAGES.index(stage) and used - self.since[now] >= seconds:
                return False
            time.sleep(0.02)
        return True

    def kill(self, target: str, number: signal.Signals) -> tuple[str, list[psutil.Process]]:
        """Kill, wait for dvc to be gone, and give what was hit and the processes that stood below dvc."""
        below = self.dvc.children(recursive=True)
        scripts = [process for process in below if is_stage(process)]
        if target == "group":
            os.killpg(self.process.pid, number)
        elif target == "stage" and scripts:
            scripts[-1].send_signal(number)
        else:
            target = "dvc"
            self.process.send_signal(number)
        self.process.wait()
        return target, below

    def epochs(self) -> tuple[int, int] | None:
        """Give after which epoch the training went on, and how many are done now; None where it did not get there."""
        text = self.log.read_text()
        if not re.search(BEGUN, text, re.MULTILINE):
            return None
        resumed = re.search(r"^resumed after epoch (\d+)$", text, re.MULTILINE)
        first = int(resumed[1]) if resumed else 0
        return first, first + len(re.findall(DONE, text, re.MULTILINE))


def is_stage(process: psutil.Process) -> bool:
    """Tell whether a process is the Python of a stage."""
    with contextlib.suppress(psutil.Error):
        command = process.cmdline()
        return len(command) > 1 and command[1].startswith("stages/")
    return False


def environment(clone: Path) -> dict[str, str]:
    """Give the variables under which dvc runs: this Python first, the clone's code, locks and links of its own."""
    return os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(clone / "src"),
        "PYTHONUNBUFFERED": "1",
        "DVC_SITE_CACHE_DIR": str(clone / ".dvc" / "tmp" / "site"),
    }


def make_clone(source: Path, folder: Path) -> Path:
    """Clone the last commit, with an empty cache, and shorten its training."""
    subprocess.run(["git", "clone", "--quiet", source, folder], check=True)
    (folder / ".dvc" / "tmp").mkdir()
    with modify_yaml(folder / "params.yaml") as content:
        for section, values in SHORT.items():
            content[section].update(values)
    return folder


def outputs(clone: Path) -> dict[str, bytes]:
    """Read every file that the pipeline made, and any that it left behind."""
    files = [file for part in ("data", "models", "metrics") for file in (clone / part).rglob("*") if file.is_file()]
    return {str(file.relative_to(clone)): file.read_bytes() for file in sorted(files)}


def usual_seconds(run: Run) -> dict[str, float]:
    """Let a run end and give how long each stage took, with what dvc did after it."""
    run.ends_before("plot", float("inf"))
    if run.process.returncode:
        sys.exit(run.log.read_text())
    moments = itertools.pairwise([*run.since.values(), run.used])
    return {name: round(after - before, 2) for name, (before, after) in zip(run.since, moments, strict=True)}


def wait_for(processes: list[psutil.Process]) -> tuple[float, psutil.Process | None]:
    """Wait until none of the processes lives; give how many seconds that took, and the last one."""
    started, last = time.monotonic(), None
    while living := [process for process in processes if lives(process)]:
        last = living[-1]
        time.sleep(0.01)
    return time.monotonic() - started, last


def name_of(process: psutil.Process) -> str:
    """Return the words of a process's command, if it still runs."""
    with contextlib.suppress(psutil.Error):
        return " ".join(process.cmdline()[:4])
    return "gone"


def lives(process: psutil.Process) -> bool:
    """Tell whether a process is neither gone nor only waiting to be cleared away."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    return False


class Benchmark:
    """The kills so far and what came of them."""

    def __init__(self, clone: Path, stages: list[str], rng: random.Random) -> None:
        """Run once without a kill, for the outputs and the seconds that each stage takes."""
        self.stages, self.rng = stages, rng
        self.usual = usual_seconds(Run(clone))
        self.expected = outputs(clone)
        print(f"undisturbed: {len(self.expected)} files; CPU seconds: {self.usual}".replace("'", ""), flush=True)
        self.where: Counter[str] = Counter()
        self.identical = self.most_lost = self.chains = self.repaired = 0
        self.slowest = 0.0

    def chain(self, clone: Path, kills: int) -> None:
        """Kill so often, as long as anything is left to do, then let the run end and compare."""
        done, below, self.chains = 0, [], self.chains + 1
        for stage in sorted(self.rng.choices(self.stages, k=kills), key=STAGES.index):
            run = self.start(clone, below)
            moment = self.rng.random()
            target, number = self.rng.choice(TARGETS), self.rng.choice(SIGNALS)
            if run.ends_before(stage) or run.ends_before(stage, moment * self.usual[run.stage()]):
                break
            hit = run.stage()
            seconds = run.used - run.since[hit]
            target, below = run.kill(target, number)
            self.where[hit] += 1
            done, told = self.trained(run, done)
            print(
                f"kill {self.where.total()}: {number.name} to {target}, {seconds:.2f} CPU s into {hit}{told}",
                flush=True,
            )
        run = self.start(clone, below)
        status = run.process.wait()
        _, told = self.trained(run, done)
        found, printed = outputs(clone), run.log.read_text()
        differ = [name for name in self.expected | found if self.expected.get(name) != found.get(name)]
        again = Run(clone)
        again.process.wait()
        whole = status == 0 and not differ and "up to date" in again.log.read_text()
        self.identical += whole
        result = "identical"
        if not whole:
            counted = f"status {status}, {len(differ)} files differ, such as {differ[:3]}"
            result = f"NOT identical: {counted}\n{printed}\n{again.log.read_text()}"
        print(f"chain {self.chains}{told}: {result}", flush=True)

    def start(self, clone: Path, below: list[psutil.Process]) -> Run:
        """Wait for what the last kill left to be gone, and start again."""
        names = {process.pid: name_of(process) for process in below}
        seconds, last = wait_for(below)
        if seconds > 1:
            print(f"gone after {seconds:.2f} s: {names[last.pid]}", flush=True)
        self.slowest = max(self.slowest, seconds)
        run = Run(clone)
        self.repaired += run.repaired
        return run

    def trained(self, run: Run, before: int) -> tuple[int, str]:
        """Note what a run trained again of the epochs done before it; give how many are done, and a text."""
        if (epochs := run.epochs()) is None:
            return before, ""
        first, done = epochs
        self.most_lost = max(self.most_lost, before - first)
        return done, f"; trained from epoch {first + 1}, {before} were done before, {done} now"


def main() -> None:
    """Kill as often as asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--chain", type=int, default=10, help="kills before a run is left to end")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--stage", choices=STAGES, help="kill in this stage alone")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        made, whole = Path(folder), Path(folder) / "whole"
        stages = [options.stage] if options.stage else STAGES
        benchmark = Benchmark(make_clone(ROOT, whole), stages, random.Random(options.seed))
        while (left := options.kills - benchmark.where.total()) > 0:
            benchmark.chain(make_clone(whole, made / str(benchmark.chains)), min(left, options.chain))
    counts = ", ".join(f"{name} {benchmark.where[name]}" for name in STAGES)
    print(f"kills by stage: {counts}; files of dvc cut off and repaired: {benchmark.repaired}")
    print(f"the last process gone after {benchmark.slowest:.2f} s at most")
    identical = f"{benchmark.identical} of {benchmark.chains} chains"
    print(
        f"seed: {options.seed}, kills: {benchmark.where.total()}, identical: {identical}, "
        f"epochs lost at most: {benchmark.most_lost}"
    )
    sys.exit(benchmark.identical < benchmark.chains or benchmark.most_lost > 0)


if __name__ == "__main__":
    main()
