import pytest
from fsspec.implementations.memory import MemoryFileSystem

from unetseg.images.storage import state


@pytest.mark.parametrize(
    "name", ["ETag", "mtime", "LastModified", "last_modified", "Last-Modified", "modificationTime"]
)
def test_a_file_that_changed_in_place_is_told_from_the_one_before(name, monkeypatch):
    states = []
    for change in ("before", "after"):
        monkeypatch.setattr(MemoryFileSystem, "info", lambda *_, change=change: {"size": 9, name: change})
        states.append(state("memory://a.png"))
    assert states[0] != states[1]
