import zipfile
from pathlib import PurePosixPath

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unetseg.dataset.members import faults


def member(name, **attributes):
    made = zipfile.ZipInfo("x")
    made.orig_filename = name
    for attribute, value in attributes.items():
        setattr(made, attribute, value)
    return made


def rules(*names):
    """Give the rules that members of these names break, laid one behind the other as in a sound file."""
    return list(faults([member(name, header_offset=1000 * at) for at, name in enumerate(names)], 1000 * len(names)))


@pytest.mark.parametrize(
    "name",
    ["ab/images/ab.png", "ab/images/", "Zellkerne 1/masks/Größe.tif", "ab/masks/1..png", "...", "console.png",
     "核/masks/1.png",
     "ab/masks/" + "x" * 251 + ".png", "._ab", "com10.png", "ab:c.png"],
)  # fmt: skip
def test_a_harmless_name_is_accepted(name):
    assert rules(name) == []


@settings(deadline=None)  # a busy machine is no failure
@given(st.text(st.sampled_from("a./\\:~\0 é"), max_size=10))
def test_an_accepted_name_stays_in_its_folder_on_every_system(name):
    if not rules(name):
        parts = PurePosixPath(name).parts
        assert "/".join(parts) == name.removesuffix("/")
        assert not {"..", ".", "/"}.intersection(parts)
        assert not set("\\\0").intersection(name)
        assert name[1:2] != ":" or name[0] in ".~: é"


@settings(deadline=None)  # a busy machine is no failure
@given(st.lists(st.text(st.sampled_from("aAéÉ/"), min_size=1, max_size=4), max_size=6))
def test_accepted_names_differ_even_where_case_is_ignored(names):
    if not rules(*names):
        assert len({name.removesuffix("/").casefold() for name in names}) == len(names)


def test_each_of_two_spellings_of_a_folder_is_told_once():
    names = ["ab/masks/1.png", "AB/masks/2.png", "AB/masks/3.png"]
    assert [rule for _, rule in rules(*names)] == [
        "'ab' differs from 'AB' only in case or Unicode form",
    ]


def test_members_may_touch_but_not_overlap():
    first = member("a", header_offset=0, compress_size=69)  # 30 bytes of header and 1 of name before it
    second = member("b", header_offset=100, compress_size=10)
    assert list(faults([second, first], 141)) == []
    assert list(faults([second, first], 140)) == [("b", "overlaps what follows it in the file")]
    first.compress_size += 1
    assert list(faults([second, first], 141)) == [("a", "overlaps what follows it in the file")]
