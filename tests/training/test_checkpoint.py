import os

import numpy as np
import pytest

from unetseg.training.checkpoint import finish, load_state, save_state


def save(folder, epoch):
    save_state(folder, epoch, {"epoch": epoch, "dice": 0.1 + 0.2}, {"weights": [np.full(1000, epoch), np.arange(3.0)]})


def test_what_was_saved_comes_back_to_the_bit(tmp_path):
    save(tmp_path, 7)
    facts, arrays = load_state(tmp_path)
    assert facts == {"epoch": 7, "dice": 0.1 + 0.2}
    np.testing.assert_array_equal(arrays["weights"][0], np.full(1000, 7))
    np.testing.assert_array_equal(arrays["weights"][1], np.arange(3.0))


def test_the_order_of_more_than_ten_arrays_is_kept(tmp_path):
    save_state(tmp_path, 1, {}, {"weights": [np.array(i) for i in range(12)]})
    assert [int(array) for array in load_state(tmp_path)[1]["weights"]] == list(range(12))


def test_two_generations_are_kept_and_no_more(tmp_path):
    for epoch in (8, 9, 10, 11):
        save(tmp_path, epoch)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["epoch-000010.npz", "epoch-000011.npz"]
    assert load_state(tmp_path)[0]["epoch"] == 11


def test_there_is_no_state_in_a_folder_that_is_empty_or_absent(tmp_path):
    assert load_state(tmp_path) is None
    assert load_state(tmp_path / "absent") is None


def flip_a_bit(data):
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


@pytest.mark.parametrize("damage", [flip_a_bit, lambda data: data[: len(data) // 2], lambda _: b"", lambda _: b"?"])
def test_a_damaged_state_is_reported_and_the_one_before_it_is_used(tmp_path, capsys, damage):
    save(tmp_path, 1)
    save(tmp_path, 2)
    newest = tmp_path / "epoch-000002.npz"
    newest.write_bytes(damage(newest.read_bytes()))
    assert load_state(tmp_path)[0]["epoch"] == 1
    assert "epoch-000002.npz: damaged" in capsys.readouterr().err


def test_two_damaged_states_are_no_state(tmp_path):
    save(tmp_path, 1)
    (tmp_path / "epoch-000001.npz").write_bytes(b"")
    assert load_state(tmp_path) is None


def test_a_training_that_begins_again_after_damaged_states_keeps_its_own(tmp_path):
    for epoch in (4, 5):
        save(tmp_path, epoch)
        (tmp_path / f"epoch-{epoch:06d}.npz").write_bytes(b"")
    save(tmp_path, 1)
    assert load_state(tmp_path)[0]["epoch"] == 1
    save(tmp_path, 2)
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["epoch-000001.npz", "epoch-000002.npz"]


def test_no_partial_state_is_left_when_writing_fails(tmp_path, monkeypatch):
    def fill_the_disk(file, **_):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    save(tmp_path, 1)
    monkeypatch.setattr(np, "savez", fill_the_disk)
    with pytest.raises(OSError, match="No space left"):
        save(tmp_path, 2)
    assert [path.name for path in tmp_path.iterdir()] == ["epoch-000001.npz"]


def test_no_flipped_bit_changes_what_is_read(tmp_path, capsys):
    save_state(tmp_path, 1, {"epoch": 1}, {"weights": [np.arange(4.0)], "best": [np.arange(3), np.arange(2)]})
    path, whole = tmp_path / "epoch-000001.npz", load_state(tmp_path)
    content = path.read_bytes()
    for place in range(len(content)):
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        loaded = load_state(tmp_path)
        assert loaded is None or repr(loaded) == repr(whole), f"byte {place}"
    assert "damaged" in capsys.readouterr().err


def test_a_finished_training_removes_the_states_of_those_that_finished_and_leaves_two_that_were_interrupted(tmp_path):
    for time, name in enumerate(("first", "finished", "second", "third", "this")):
        save(tmp_path / name, 1)
        if name == "finished":
            finish(tmp_path / name)
        os.utime(tmp_path / name, (time, time))
    finish(tmp_path / "this")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["second", "third", "this"]
    assert load_state(tmp_path / "this")[0]["epoch"] == 1
