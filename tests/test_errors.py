import pickle
import re
from pathlib import Path

import pytest

from unetseg.errors import InputError, printable

SOURCES = [*(Path(__file__).parents[1] / "src").rglob("*.py")]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Zellen ä 細胞 1.tif", "Zellen ä 細胞 1.tif"),
        ("a\nb\r\tc", r"a\nb\r\tc"),
        ("\x1b[31mred\x07", r"\x1b[31mred\x07"),
        ("zelle_\udce4.png", r"zelle_\xe4.png"),
        ("gnp.\u202efoo", r"gnp.\u202efoo"),
    ],
)
def test_what_a_terminal_should_not_see_is_escaped(text, expected):
    assert printable(text) == expected
    assert str(InputError(text)) == expected


def test_each_problem_is_a_line_whatever_is_in_its_names():
    error = InputError("a\nb: is wrong", "c: is wrong, too")
    assert str(error).splitlines() == [r"a\nb: is wrong", "c: is wrong, too"]
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_no_lines_are_joined_before_they_are_raised():
    joined = re.compile(r'InputError\(\s*"\\n"\.join')
    assert not [str(source) for source in SOURCES if joined.search(source.read_text())]
