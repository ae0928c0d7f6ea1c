from pathlib import Path
from urllib.parse import quote

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from unetseg.errors import InputError
from unetseg.images.storage import place, state


@pytest.mark.parametrize(
    "name", ["ETag", "mtime", "LastModified", "last_modified", "Last-Modified", "modificationTime"]
)
def test_a_file_that_changed_in_place_is_told_from_the_one_before(name, monkeypatch):
    states = []
    for change in ("before", "after"):
        monkeypatch.setattr(MemoryFileSystem, "info", lambda *_, change=change: {"size": 9, name: change})
        states.append(state("memory://a.png"))
    assert states[0] != states[1]


@pytest.mark.parametrize("path", ["a b", "plate#1", "what?", "100%"])
@pytest.mark.parametrize("host", ["", "localhost"])
def test_a_files_url_is_its_path_whatever_signs_are_in_it(path, host):
    assert place(f"file://{host}/data/{path}") == Path("/data", path)
    assert place(f"file://{host}/data/{quote(path)}") == Path("/data", path)


@pytest.mark.parametrize("url", ["file://results", "file://server/share/a.png", "file://"])
def test_a_files_url_of_another_computer_is_refused(url):
    with pytest.raises(InputError, match=f"^{url}: names a computer"):
        place(url)
