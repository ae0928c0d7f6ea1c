import pytest

from unetseg.errors import InputError
from unetseg.training.workers import RANK, start_workers, worker_commands


def test_on_one_machine_each_worker_gets_its_rank_and_the_same_address():
    started = worker_commands({"UNETSEG_WORKERS": "2", "HOME": "x"}, ["python", "train.py"])
    assert [command for command, _ in started] == [["python", "train.py"]] * 2
    assert [environment[RANK] for _, environment in started] == ["0", "1"]
    (addresses,) = {environment["KERAS_DISTRIBUTION_JOB_ADDRESSES"] for _, environment in started}
    assert addresses.startswith("127.0.0.1:")
    assert all(environment["KERAS_BACKEND"] == "jax" and environment["HOME"] == "x" for _, environment in started)


def test_under_slurm_srun_starts_the_workers_and_ends_all_if_one_fails():
    ((command, environment),) = worker_commands({"SLURM_NTASKS": "4"}, ["python", "train.py"])
    assert command == ["srun", "--kill-on-bad-exit=1", "python", "train.py"]
    assert environment["KERAS_BACKEND"] == "jax"
    assert RANK not in environment  # JAX reads Slurm's


@pytest.mark.parametrize("name", ["UNETSEG_WORKERS", "SLURM_NTASKS"])
@pytest.mark.parametrize("value", ["two", "1.5", "", "0", "-1"])
def test_a_number_of_workers_that_is_no_whole_number_is_named(name, value):
    with pytest.raises(InputError, match=f"{name}: '{value}' is not a whole number from 1 up"):
        worker_commands({name: value}, ["python", "train.py"])


def test_without_jax_no_worker_is_started(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    monkeypatch.setattr("subprocess.Popen", lambda *_, **__: pytest.fail("started"))
    with pytest.raises(InputError, match=r"^train.distribute: data_parallel needs JAX: install it with "):
        start_workers()
