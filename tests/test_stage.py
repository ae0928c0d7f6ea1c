import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).parents[1]
SCRIPT = """\
'''Do as the test says.'''
import sys, time
from pathlib import Path
from unetseg import files, stage
from unetseg.errors import InputError
{long_import}

def main(params, first_file: Path, out: Path) -> None:
{body}

if __name__ == "__main__":
    stage.run(main)
"""
SLEEP = "print('ready', flush=True); time.sleep(60)"


@pytest.fixture
def stage(tmp_path):
    """Write a stage with a body, and start it, if need be below other programs."""
    shutil.copy(ROOT / "params.yaml", tmp_path)
    (tmp_path / "dvc").write_text("import subprocess, sys; subprocess.run(sys.argv[1:])")
    started = []

    def start(body, *, long_import="", arguments=("--first-file", "a", "--out", "b"), below=(), dvc_stage=False):
        body = textwrap.indent(textwrap.dedent(body), "    ")
        (tmp_path / "stage.py").write_text(SCRIPT.format(body=body, long_import=long_import))
        variables = {name: value for name, value in os.environ.items() if name != "DVC_STAGE"}
        process = subprocess.Popen(
            [*below, sys.executable, "stage.py", *arguments],
            cwd=tmp_path,
            env=variables | {"PYTHONPATH": str(ROOT / "src")} | ({"DVC_STAGE": "train"} if dvc_stage else {}),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


PIPELINE = """\
vars:
  - more.yaml
  - path:
      out: results
stages:
  train:
    params: [train, data.archive, model, {other.yaml: [a]}, none.such]
    deps: [code, "${path.out}/a.csv", "${data.archive}", stage.py]
"""


@pytest.mark.usefixtures("pipeline")
@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            "edit('0  # seed of init', '3  # seed of init')",
            "params.yaml: train.seed was changed from 0 to 3",
        ),
        ("Path('code/a/new.py').touch(); Path('results/a.csv').unlink()", "results/a.csv was changed"),
        ("Path('my.zip').write_text('another'); Path('code/a/b.py').unlink()", "code/a/b.py was changed"),
    ],
)
def test_what_dvc_would_record_of_another_run_is_refused(stage, change, told):
    status, _, err = ended(stage(f"{EDIT}\n{change}", dvc_stage=True))
    rule = "its results are not of what stands there now: set it back, or leave it, and run again"
    assert (status, err) == (1, f"{told} while the stage ran; {rule}\n")


@pytest.mark.usefixtures("pipeline")
def test_code_that_is_changed_while_the_stage_imports_is_refused(stage):
    process = stage("out.touch()", long_import="Path('code/a/b.py').write_text('2')", dvc_stage=True)
    status, _, err = ended(process)
    assert (status, err[:44]) == (1, "code/a/b.py was changed while the stage ran;")


@pytest.mark.usefixtures("pipeline")
def test_what_the_stage_does_not_depend_on_may_change_while_it_runs(stage):
    other = "Path('dvc.yaml').unlink(); Path('code/a/b.py').touch(); Path('results/b.csv').touch()"
    other += "; Path('my.zip').write_text('1'); Path('code/a/.b.py.swp').touch(); Path('code/a/b.py~').touch()"
    other += "; Path('code/__pycache__').mkdir(); Path('code/__pycache__/b.pyc').touch()"
    change = f"{EDIT}\nedit('examples: 3', 'examples: 5')\n{other}"
    assert ended(stage(change, dvc_stage=True)) == (0, "", "")


@pytest.mark.parametrize("archive", ["../up.zip", ".data/in.zip", ".hidden.zip"])
@pytest.mark.usefixtures("pipeline")
def test_a_changed_archive_is_refused_wherever_it_lies(stage, tmp_path, archive):
    path = tmp_path / archive
    path.parent.mkdir(exist_ok=True)
    path.write_text("1")
    params = (tmp_path / "params.yaml").read_text()
    (tmp_path / "params.yaml").write_text(params.replace("archive: my.zip", f"archive: {archive}"))
    status, _, err = ended(stage(f"Path({archive!r}).write_text('2')", dvc_stage=True))
    assert (status, err.startswith(f"{archive} was changed while the stage ran")) == (1, True)


@pytest.mark.parametrize("text", ["", "stages:\n", "stages: {other: {}}", "stages: {train: {deps: }}", "a: [", "\xff"])
def test_a_dvc_yaml_that_does_not_list_the_stage_changes_nothing(stage, tmp_path, text):
    (tmp_path / "dvc.yaml").write_bytes(text.encode("latin-1"))
    assert ended(stage("pass", dvc_stage=True)) == (0, "", "")


@pytest.mark.usefixtures("pipeline")
def test_a_time_in_the_future_is_no_change(stage, tmp_path):
    os.utime(tmp_path / "code" / "a" / "b.py", (time.time() + 3600,) * 2)
    assert ended(stage("pass", dvc_stage=True)) == (0, "", "")


@pytest.mark.usefixtures("pipeline")
def test_a_stage_that_dvc_did_not_start_may_change_what_it_likes(stage):
    assert ended(stage("Path('code/a/b.py').unlink()")) == (0, "", "")


EDIT = """\
def edit(old, new):
    text = Path('params.yaml').read_text()
    assert text.count(old) == 1, old
    Path('params.yaml').write_text(text.replace(old, new))
"""


@pytest.fixture
def pipeline(stage, tmp_path):
    """A dvc.yaml with the stage `train`, and what it depends on."""
    del stage  # which has made params.yaml
    (tmp_path / "dvc.yaml").write_text(PIPELINE)
    (tmp_path / "code" / "a").mkdir(parents=True)
    (tmp_path / "results").mkdir()
    for name in ("code/a/b.py", "results/a.csv", "my.zip"):
        (tmp_path / name).write_text("1")
    params = (tmp_path / "params.yaml").read_text()
    (tmp_path / "params.yaml").write_text(re.sub(r"(?m)^  archive: \S+", "  archive: my.zip", params))


def ended(process):
    out, err = process.communicate(timeout=200)
    return process.returncode, out, err


def test_a_stage_gets_the_params_and_its_paths(stage):
    status, out, err = ended(stage("print(params.data.archive, repr(first_file), out)"))
    assert (status, err) == (0, "")
    assert out.endswith(".zip PosixPath('a') b\n")


def test_a_stage_that_is_not_told_a_path_asks_for_it(stage):
    status, _, err = ended(stage("pass", arguments=("--first-file", "a")))
    assert status == 2
    assert "required: --out" in err


@pytest.mark.slow
@pytest.mark.parametrize(
    ("body", "line"),
    [
        ("raise InputError('a.zip: no such file; name another')", "a.zip: no such file; name another\n"),
        ("raise InputError('a: wrong', 'b: wrong')", "a: wrong\nb: wrong\n"),
        ("raise InputError('a\\nb\\x1b: wrong')", "a\\nb\\x1b: wrong\n"),
        ("open('a\\nb')", "a\\nb: No such file or directory\n"),
        ("raise OSError(28, 'No space left on device', 'b')", "b: No space left on device\n"),
        ("raise OSError(28, 'No space left on device')", "No space left on device\n"),
        ("open('absent')", "absent: No such file or directory\n"),
        ("raise KeyboardInterrupt", "interrupted\n"),
    ],
)
def test_what_the_user_can_mend_is_a_line_and_status_1(stage, body, line):
    assert ended(stage(body)) == (1, "", line)


@pytest.mark.parametrize("body", ["raise ValueError('a defect')", "raise OSError('a defect')"])
def test_a_defect_keeps_its_traceback(stage, body):
    status, _, err = ended(stage(body))
    assert status == 1
    assert "Traceback" in err
    assert "a defect" in err


def test_missing_params_are_a_line(stage, tmp_path):
    (tmp_path / "params.yaml").unlink()
    assert ended(stage("pass")) == (1, "", "params.yaml: cannot be read: No such file or directory\n")


@pytest.mark.slow
@pytest.mark.parametrize("signal_", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_stage_told_to_stop_tidies_up(stage, tmp_path, signal_):
    process = stage(f"with files.atomic_path(out) as path:\n    path.write_text('half'); {SLEEP}")
    assert process.stdout.readline() == "ready\n"
    assert list(tmp_path.glob("*.partial"))
    process.send_signal(signal_)
    assert ended(process) == (1, "", "interrupted\n")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dvc", "params.yaml", "stage.py"]


def test_interrupted_while_it_imports_a_stage_says_so_in_one_line(stage):
    process = stage("pass", long_import=SLEEP)
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    status, _, err = ended(process)
    assert status != 0
    assert err == "interrupted\n"


def test_a_stage_started_to_outlive_the_terminal_does(stage):
    process = stage("print('ready', flush=True); time.sleep(30)", below=("nohup",))
    process.stdout.readline()
    process.send_signal(signal.SIGHUP)
    time.sleep(0.2)
    assert process.poll() is None


def gone(processes, seconds):
    """Wait until no process lives; what the system has not yet cleared away is dead all the same."""
    until = time.monotonic() + seconds
    while (living := [process for process in processes if lives(process)]) and time.monotonic() < until:
        time.sleep(0.02)
    return not living


def lives(process):
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


SHELL = ("sh", "-c", '"$@"; true', "sh")  # with `true` after it, the shell waits for the stage instead of becoming it
DVC = (sys.executable, "dvc")  # in name: the fixture writes it


def stopped_in_time(parent, signal_):
    """Send the signal to the parent of a stage that is ready; tell whether the stage is gone within two seconds."""
    assert parent.stdout.readline() == "ready\n"
    below = psutil.Process(parent.pid).children(recursive=True)
    parent.send_signal(signal_)
    return gone(below, 2)


@pytest.mark.slow
@pytest.mark.parametrize("signal_", [signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("below", [SHELL, DVC, DVC + SHELL], ids=["shell", "dvc", "dvc and shell"])
def test_a_stage_does_not_outlive_what_started_it(stage, below, signal_):
    assert stopped_in_time(stage(SLEEP, below=below), signal_)


@pytest.mark.parametrize("below", [SHELL, DVC, DVC + SHELL], ids=["shell", "dvc", "dvc and shell"])
def test_a_stage_does_not_outlive_dvc_while_it_still_imports(stage, below):
    assert stopped_in_time(stage("pass", below=below, long_import=SLEEP, dvc_stage=True), signal.SIGTERM)


def test_a_stage_whose_dvc_is_gone_before_it_begins_does_not_run(stage):
    left_alone = ("sh", "-c", '(sleep 0.5; exec "$@") &', "sh")
    _, out, err = ended(stage("print('ran')", below=left_alone, dvc_stage=True))
    assert (out, err) == ("", "interrupted\n")


def test_a_stage_deaf_to_signals_is_stopped_too(stage):
    deaf = f"import signal; signal.pthread_sigmask(signal.SIG_BLOCK, {{signal.SIGTERM}}); {SLEEP}"
    assert stopped_in_time(stage(deaf, below=SHELL), signal.SIGTERM)


@pytest.mark.slow
def test_a_stage_outlives_what_stands_above_dvc(stage, tmp_path):
    above = (sys.executable, "-c", "import subprocess, sys; subprocess.run(sys.argv[1:])")
    parent = stage("print('ready', flush=True); time.sleep(2); first_file.touch()", below=above + DVC)
    assert parent.stdout.readline() == "ready\n"
    below = psutil.Process(parent.pid).children(recursive=True)
    parent.kill()
    assert gone(below, 60)
    assert (tmp_path / "a").exists()


def test_a_python_that_is_the_first_process_of_a_container_may_call_dvc(stage, tmp_path):
    namespace = ("unshare", "--pid", "--fork", "--mount-proc")
    if not shutil.which("unshare") or subprocess.run([*namespace, "true"], check=False, capture_output=True).returncode:
        pytest.skip("this user may make no namespace of processes")
    api = (sys.executable, "-c", "import subprocess, sys; subprocess.run(sys.argv[1:])")
    status, _, err = ended(stage("out.write_text('done')", below=(*namespace, *api), dvc_stage=True))
    assert (status, err) == (0, "")
    assert (tmp_path / "b").read_text() == "done"
