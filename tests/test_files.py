import csv
import errno
import os
import subprocess
import sys
import tracemalloc
from pathlib import Path

import pytest

from unetseg.errors import InputError
from unetseg.files import (
    COMPUTER,
    atomic_path,
    check_output,
    is_full,
    read_csv,
    scratch_folder,
    write_csv,
    write_json,
    write_text,
)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def contents():
    return {path.as_posix(): path.read_text() for path in sorted(Path().rglob("*")) if path.is_file()}


def write_folder(path, *names):
    with atomic_path(Path(path)) as beside:
        for name in names:
            (beside / name).parent.mkdir(parents=True, exist_ok=True)
            (beside / name).write_text("new")


def test_a_file_replaces_a_file():
    write_text(Path("a/b.txt"), "old")
    write_text(Path("a/b.txt"), "new")
    assert contents() == {"a/b.txt": "new"}


def test_scratch_folders_of_one_place_are_apart_and_go_with_what_killed_processes_left():
    left = Path("a", f"{COMPUTER}999999999-x-y.partial")
    (left / "b").mkdir(parents=True)
    with scratch_folder(Path("a")) as first, scratch_folder(Path("a")) as second:
        assert len({first, second, left}) == 3
        assert not list(first.iterdir())
        assert not left.exists()
    assert not list(Path("a").iterdir())


def test_a_folder_that_was_made_for_a_scratch_folder_goes_with_it_unless_something_is_written_there():
    for name, expected in (("a", {}), ("b", {"new/b/c": "kept"})):
        with scratch_folder(Path("new", name)) as scratch:
            write_text(scratch / "c", "kept")
            if name == "b":
                (scratch / "c").rename("new/b/c")
        assert contents() == expected
        assert Path("new").exists() == bool(expected)


@pytest.mark.parametrize("old", ["thesis/t.txt", "thesis/deep/t.txt", "thesis/deep/.hidden"])
def test_a_file_never_replaces_a_folder(old):
    write_text(Path(old), "mine")
    with pytest.raises(InputError, match="thesis: is a folder"):
        write_text(Path("thesis"), "new")
    assert contents() == {old: "mine"}


def test_a_folder_never_replaces_a_file():
    write_text(Path("thesis"), "mine")
    with pytest.raises(NotADirectoryError, match="thesis"):
        write_folder("thesis", "a")
    assert contents() == {"thesis": "mine"}


def test_a_folder_with_a_file_of_somebody_else_is_never_replaced():
    write_folder("out", "a", "b/c")
    write_text(Path("out/b/mine"), "mine")
    with pytest.raises(InputError, match="out/b/mine: is not of an earlier run and would be lost"):
        write_folder("out", "a", "b/c")
    assert contents()["out/b/mine"] == "mine"


def test_a_folder_of_an_earlier_run_and_an_empty_one_are_replaced():
    Path("out/b").mkdir(parents=True)
    write_folder("out", "a", "b/c")
    write_folder("out", "a", "b/c", "d")
    assert set(contents()) == {"out/a", "out/b/c", "out/d"}


@pytest.mark.parametrize("moment", ["os.sync", "pathlib.Path.replace"])
def test_a_folder_whose_replacement_is_stopped_is_as_it_was(moment, monkeypatch):
    write_folder("out", "a")
    before, replace, stopped = contents(), Path.replace, []

    def stop(*paths):
        if stopped:
            return replace(*paths)
        stopped.append(moment)
        raise KeyboardInterrupt

    monkeypatch.setattr(moment, stop)
    with pytest.raises(KeyboardInterrupt):
        write_folder("out", "a", "b")
    assert contents() == before


@pytest.mark.parametrize("name", [".", "..", "sub/.."])
def test_the_folder_one_stands_in_is_never_replaced(name, monkeypatch):
    write_text(Path("here/sub/mine"), "mine")
    monkeypatch.chdir("here")
    with pytest.raises(InputError):
        write_folder(name, "a")
    with pytest.raises(InputError):
        write_text(Path(name), "new")
    monkeypatch.chdir("..")
    assert contents() == {"here/sub/mine": "mine"}


def test_what_is_no_regular_file_is_never_replaced():
    os.mkfifo("pipe")
    with pytest.raises(InputError, match="pipe: is no regular file"):
        write_text(Path("pipe"), "new")
    assert Path("pipe").is_fifo()


def test_a_link_is_replaced_and_what_it_leads_to_stays():
    write_text(Path("kept"), "old")
    Path("link").symlink_to("kept")
    write_text(Path("link"), "new")
    assert contents() == {"kept": "old", "link": "new"}


def test_a_command_can_ask_before_it_works():
    write_text(Path("thesis/t.txt"), "mine")
    Path("empty").mkdir()
    with pytest.raises(InputError, match="thesis: is a folder; name another output"):
        check_output(Path("thesis"))
    with pytest.raises(InputError, match=r"thesis: is there already and holds no saved_model\.pb"):
        check_output(Path("thesis"), holding="saved_model.pb")
    for path, holding in (("new", None), ("new", "a"), ("empty", "a"), ("thesis/t.txt", None), ("thesis", "t.txt")):
        check_output(Path(path), holding=holding)


def test_two_that_write_one_file_do_not_disturb_each_other():
    with atomic_path(Path("a")) as first:
        first.write_text("first")
        with atomic_path(Path("a")) as second:
            second.write_text("second")
        assert contents()["a"] == "second"
    assert contents() == {"a": "first"}


def test_a_name_as_long_as_the_file_system_takes_can_be_written():
    name = "a" * 255
    write_text(Path(name), "new")
    assert contents() == {name: "new"}


def test_what_a_killed_process_left_is_removed_and_what_a_living_one_writes_is_not():
    code = "import sys, time; from pathlib import Path; from unetseg.files import atomic_path\n"
    code += "with atomic_path(Path('out/a')) as beside: print(beside.parent.name, flush=True); time.sleep(60)"
    processes = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    killed, living = (process.stdout.readline().strip() for process in processes)
    processes[0].kill()
    processes[0].communicate()
    write_text(Path("out/b"), "new")
    assert {path.name for path in Path("out").iterdir()} == {"b", living}
    assert killed != living
    processes[1].kill()
    processes[1].communicate()


def test_an_error_of_the_file_system_names_the_output():
    Path("a").write_text("a file")
    with pytest.raises(OSError, match="a") as raised, atomic_path(Path("b")) as beside:
        raise OSError(errno.ENOSPC, "No space left on device", str(beside))
    assert raised.value.filename == "b"
    with pytest.raises(OSError, match="'a'"):
        write_text(Path("a/b"), "new")
    assert contents() == {"a": "a file"}


def test_a_folder_that_cannot_be_written_is_told_by_the_output_in_it(monkeypatch):
    def refuse(path, *_mode):
        raise PermissionError(errno.EACCES, "Permission denied", path)

    monkeypatch.setattr("os.mkdir", refuse)
    with pytest.raises(PermissionError) as told:
        write_text(Path("a"), "new")
    assert told.value.filename == "a"
    with pytest.raises(PermissionError) as told, scratch_folder(Path()):
        pass
    assert told.value.filename == "."


def test_a_file_of_a_scratch_folder_that_cannot_be_written_is_told_by_the_folder_it_lies_in():
    with pytest.raises(OSError, match=r"No space left on device: 'a'"), scratch_folder(Path("a")) as scratch:
        raise OSError(errno.ENOSPC, "No space left on device", str(scratch / "b"))
    with pytest.raises(OSError, match=r"No such file or directory: 'b'"), scratch_folder(Path("a")):
        Path("b").read_text()


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOTSUP])
def test_a_file_system_that_cannot_sync_a_folder_is_written_to_all_the_same(number, monkeypatch):
    synced = os.fsync

    def fsync(descriptor):
        if Path(f"/proc/self/fd/{descriptor}").is_dir():
            raise OSError(number, os.strerror(number))
        synced(descriptor)

    monkeypatch.setattr("os.fsync", fsync)
    write_json(Path("a.json"), {})
    assert Path("a.json").is_file()


@pytest.mark.parametrize(
    ("error", "full"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), True),
        (OSError("65536 requested and 42976 written"), True),  # of NumPy's tofile
        (OSError("cannot identify"), False),
        (OSError(errno.EACCES, "Permission denied"), False),
    ],
)
def test_a_full_disk_is_known_by_what_libraries_say_of_it_too(error, full):
    assert is_full(error) is full


def test_a_full_disk_of_which_a_library_gives_no_number_is_told_with_the_output():
    with pytest.raises(OSError, match=r"No space left on device: 'a\.tif'") as told, atomic_path(Path("a.tif")):
        raise OSError("65536 requested and 42976 written")
    assert told.value.errno == errno.ENOSPC


def test_a_disk_that_fails_while_it_syncs_is_told_with_the_output(monkeypatch):
    def fsync(_descriptor):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("os.fsync", fsync)
    with pytest.raises(OSError, match=r"Input/output error: 'a\.json'"):
        write_json(Path("a.json"), {})
    assert contents() == {}


NAMES = ["=1+1", "+a", "-a", "@a", "\ta", "'=a", "''+a", "'a", "a=b", "plain", "", "a\nb"]


def test_a_name_that_a_spreadsheet_would_compute_is_escaped_and_comes_back():
    write_csv(Path("a.csv"), [{"id": name} for name in NAMES], ["id"])
    with Path("a.csv").open(newline="") as file:
        stored = [row["id"] for row in csv.DictReader(file)]
    assert not [text for text in stored if text[:1] in set("=+-@\t\r")]
    assert [row["id"] for row in read_csv(Path("a.csv"))] == NAMES


def test_numbers_stay_as_they_are():
    row = {"a": -0.5, "b": -3, "c": "-0.25", "d": None}
    write_csv(Path("a.csv"), [row], list(row))
    assert Path("a.csv").read_text() == "a,b,c,d\n-0.5,-3,-0.25,\n"


def test_columns_that_are_not_asked_for_take_no_memory(tmp_path):
    rows = [f"{number},{number:01000}\n" for number in range(2000)]
    (tmp_path / "a.csv").write_text("".join(["id,other\n", *rows]))
    tracemalloc.start()
    read = read_csv(tmp_path / "a.csv", ["id"])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert read == [{"id": str(number)} for number in range(2000)]
    assert peak < 1_000_000  # of a file of 2 MB
