import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import psutil
import pytest

from unetseg.parallel import FEW, WAITING_PER_CORE, in_parallel, in_processes, prefetch, quota


def test_results_come_in_the_order_of_the_items():
    assert list(in_parallel(lambda number: number * number, range(100))) == [n * n for n in range(100)]


def test_several_items_are_worked_on_at_once(monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    both = threading.Barrier(2, timeout=10)
    assert len(list(in_parallel(lambda _: both.wait(), range(2)))) == 2


def test_only_a_few_items_are_taken_ahead(monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    taken = []

    def items():
        for number in range(1000):
            taken.append(number)
            yield number

    results = in_parallel(lambda number: number, items())
    for _ in range(10):
        next(results)
    assert len(taken) <= 10 + 2 * WAITING_PER_CORE
    results.close()


def test_an_exception_comes_at_its_items_turn():
    results = in_parallel(lambda number: 1 // number, [2, 1, 0, 3])
    assert next(results) == 0
    assert next(results) == 1
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_many_items_are_worked_on_by_other_processes_in_order():
    assert list(in_processes(abs, range(-FEW - 50, 0))) == list(range(FEW + 50, 0, -1))
    here = list(in_processes(_process, range(FEW)))
    elsewhere = set(in_processes(_process, range(FEW + 1)))
    assert set(here) == {os.getpid()}
    assert os.getpid() not in elsewhere


@pytest.mark.slow
@pytest.mark.parametrize(("items", "imported"), [(FEW + 1, True), (FEW, False)])
def test_processes_that_are_prepared_have_imported_what_they_need(tmp_path, items, imported):
    script = tmp_path / "work.py"
    script.write_text(
        "import sys\nfrom unetseg.parallel import FEW, in_processes, prepare_processes\n"
        "def is_there(name):\n    return name in sys.modules\n"
        "if __name__ == '__main__':\n"
        f"    prepare_processes({items}, 'this')\n"
        "    print(set(in_processes(is_there, ['this'] * (FEW + 1))))\n"
    )
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1] / "src")}
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, env=environment, check=True)
    assert str({imported}) in done.stdout.splitlines()  # among what `this` prints when it is imported


@pytest.mark.parametrize("function", [in_parallel, lambda wait, items: prefetch(map(wait, items))], ids=["many", "one"])
def test_results_that_nobody_wants_any_more_are_not_waited_for(function):
    go_on = threading.Event()
    results = function(lambda number: number and go_on.wait(20), range(3))
    assert next(results) == 0
    results.close()  # as the garbage collector does, maybe while it holds the lock that joining a thread needs
    assert not go_on.is_set()
    go_on.set()


def test_the_next_item_is_made_while_the_last_is_worked_on():
    made = [threading.Event() for _ in range(3)]

    def make():
        for number in range(3):
            made[number].set()
            yield number

    for number in prefetch(make()):
        assert number == 2 or made[number + 1].wait(10)


def test_items_that_are_false_are_items():
    assert list(prefetch([0, None, "", []])) == [0, None, "", []]


def test_an_error_in_making_an_item_reaches_the_caller():
    with pytest.raises(ZeroDivisionError):
        list(prefetch(1 / number for number in (1, 0)))


def test_an_exception_in_another_process_comes_at_its_items_turn():
    results = in_processes(_invert, [1, 0, *range(1, FEW + 1)])
    assert next(results) == 1
    with pytest.raises(ZeroDivisionError):
        next(results)


@pytest.mark.slow
def test_the_processes_end_with_the_one_that_started_them_however_it_ends(tmp_path):
    script = tmp_path / "work.py"
    script.write_text(
        "import time\nfrom unetseg.parallel import FEW, in_processes\n"
        "if __name__ == '__main__':\n    for _ in in_processes(time.sleep, [0.05] * 100 * FEW):\n"
        "        print('done', flush=True)\n"
    )
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1] / "src")}
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, env=environment) as parent:
        parent.stdout.readline()
        children = psutil.Process(parent.pid).children(recursive=True)
        assert len(children) >= 2
        parent.send_signal(signal.SIGKILL)
    _, alive = psutil.wait_procs(children, timeout=20)
    assert [process for process in alive if process.status() != psutil.STATUS_ZOMBIE] == []


def _process(_):
    return os.getpid()


def _invert(number):
    return 1 // number


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system has no affinity")
def test_a_process_tied_to_one_core_uses_one(tmp_path):
    script = (
        "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
        "from unetseg.parallel import cores, limit_threads\n"
        "limit_threads(); import cv2; print(cores(), cv2.getNumThreads(), os.environ['TF_NUM_INTRAOP_THREADS'])"
    )
    unset = {name: value for name, value in os.environ.items() if not name.endswith(("THREADS", "THREADS_NUM"))}
    words = [sys.executable, "-c", script]
    done = subprocess.run(words, capture_output=True, text=True, check=True, cwd=tmp_path, env=unset)
    assert done.stdout.split() == ["1", "1", "1"]


@pytest.mark.parametrize(
    ("line", "files", "allowed"),
    [
        ("0::/job/step", {"job/cpu.max": "150000 100000"}, 1.5),
        ("0::/job/step", {"job/cpu.max": "max 100000", "job/step/cpu.max": "400000 100000"}, 4),
        ("4:cpu,cpuacct:/slurm/job", {"cpu,cpuacct/slurm/job/cpu.cfs_quota_us": "200000"}, 2),
        ("4:cpu:/docker/abc", {"cpu/cpu.cfs_quota_us": "50000"}, 0.5),  # a container sees its own group as the top
        ("4:cpu:/", {"cpu/cpu.cfs_quota_us": "-1"}, 2**16),
        ("5:memory:/job", {"memory/job/cpu.cfs_quota_us": "50000"}, 2**16),
        ("nonsense", {}, 2**16),
    ],
)
def test_the_quota_of_the_control_groups_is_kept_in_version_1_and_2(tmp_path, line, files, allowed):
    (tmp_path / "groups").write_text(f"1:name=systemd:/\n{line}\n")
    for name, content in files.items():
        file = tmp_path / "mounted" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{content}\n")
        if file.name == "cpu.cfs_quota_us":
            file.with_name("cpu.cfs_period_us").write_text("100000\n")
    assert quota(tmp_path / "mounted", tmp_path / "groups") == allowed
