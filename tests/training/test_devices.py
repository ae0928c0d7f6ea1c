"""Several devices train as one: the same losses, scores and weights, BatchNorm's among them."""

import shutil
import socket
import subprocess
import sys
import uuid
from pathlib import Path

import pytest
from devices import difference, start
from pipeline import Project

from unetseg.training.devices import Share
from unetseg.training.workers import RANK

CLOSE = 1e-5  # of the losses, scores and weights after two epochs; the sums are rounded in another order


@pytest.mark.parametrize("count", [1, 2, 5])
def test_the_shares_of_all_processes_are_the_batch_in_order(count):
    batch = list(range(10))
    assert [each for rank in range(count) for each in Share(rank, count, count).of(batch)] == batch


@pytest.fixture(scope="module")
def one(tmp_path_factory, jax_python):
    """The folder of a training in one process on JAX; other trainings go beside it."""
    folder = tmp_path_factory.mktemp("devices") / "one"
    said = finish(start(folder, "data_parallel", {"UNETSEG_WORKERS": "1"}, jax_python))
    (folder / "said").write_text(said)
    return folder


def finish(process):
    _, said = process.communicate(timeout=300)
    assert process.returncode == 0, said
    return said


@pytest.mark.slow
def test_one_process_compiles_the_training_step_once(one):
    assert (one / "said").read_text().count("Compiling jit(train_step)") == 1


@pytest.mark.slow
def test_two_processes_of_which_one_is_killed_and_four_that_resume_train_as_one(one, jax_python):
    folder = one.with_name("two")
    killed = start(folder, "data_parallel", {"UNETSEG_WORKERS": "2"}, jax_python, die=1)
    _, said = killed.communicate(timeout=300)
    assert killed.returncode == 1
    assert said.splitlines()[-1].endswith("process 1 of 2 ended with status -9; run it again to resume")
    assert "Traceback" not in said
    finish(start(folder, "data_parallel", {"UNETSEG_WORKERS": "4"}, jax_python))
    assert difference(folder, one) < CLOSE


@pytest.mark.slow
@pytest.mark.usefixtures("programs")
def test_two_devices_under_a_mirrored_strategy_train_as_one(tmp_path):
    python = str(Project.programs / "python")
    alone, mirrored = (start(tmp_path / name, name, {}, python) for name in ("none", "mirrored"))
    finish(alone)
    finish(mirrored)
    assert difference(tmp_path / "mirrored", tmp_path / "none") < CLOSE


@pytest.fixture
def hosts():
    """Two hosts: network namespaces, joined by a wire, in each of which this host's name is its address."""
    if not shutil.which("ip"):
        pytest.skip("network namespaces need iproute2")
    mark = uuid.uuid4().hex[:6]
    names = [f"{mark}{end}" for end in "ab"]
    made = [f"netns add {name}" for name in names]
    made += [f"link add {names[0]} type veth peer name {names[1]}"]
    for number, name in enumerate(names, 1):
        made += [f"link set {name} netns {name}", f"-n {name} address add 10.77.0.{number}/24 dev {name}"]
        made += [f"-n {name} link set {device} up" for device in ("lo", name)]
    own = [Path("/etc/netns", name) for name in names]  # stands in for /etc in `ip netns exec`
    try:
        for number, folder in enumerate(own, 1):
            folder.mkdir(parents=True)
            (folder / "hosts").write_text(f"127.0.0.1 localhost\n10.77.0.{number} {socket.gethostname()}\n")
        for words in made:
            done = subprocess.run(["ip", *words.split()], capture_output=True, text=True, check=False)
            if done.returncode:
                pytest.skip(f"network namespaces cannot be made here: {done.stderr.strip()}")
        yield [(name, f"10.77.0.{number}") for number, name in enumerate(names, 1)]
    finally:
        for name, folder in zip(names, own, strict=True):
            shutil.rmtree(folder, ignore_errors=True)
            subprocess.run(["ip", "netns", "delete", name], capture_output=True, check=False)


@pytest.mark.slow
def test_two_hosts_train_as_one(one, hosts):
    folder = one.with_name("hosts")
    common = {
        "KERAS_BACKEND": "jax",
        "KERAS_DISTRIBUTION_JOB_ADDRESSES": f"{hosts[0][1]}:7777",
        "KERAS_DISTRIBUTION_NUM_PROCESSES": "2",
    }
    started = [
        start(
            folder,
            "data_parallel",
            common | {RANK: str(rank)},
            sys.executable,  # a new process: a fork would be in the namespace of the one it comes from
            before=["ip", "netns", "exec", name],
        )
        for rank, (name, _) in enumerate(hosts)
    ]
    for process in started:
        finish(process)
    assert difference(folder, one) < CLOSE
