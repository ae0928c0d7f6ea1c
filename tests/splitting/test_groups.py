import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unetseg.errors import InputError
from unetseg.splitting.groups import connected, read_groups


def _write(folder: Path, text: str) -> Path:
    path = folder / "groups.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_group_is_all_that_a_chain_of_pairs_connects():
    groups = connected("dcba", [("a", "c"), ("c", "d")])
    assert groups == {"a": "a", "b": "b", "c": "a", "d": "a"}


def test_without_pairs_each_sample_is_its_own_group():
    assert connected(["b", "a"], []) == {"a": "a", "b": "b"}


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9))), st.randoms())
def test_the_order_of_ids_and_pairs_does_not_matter(numbers, random):
    ids, pairs = [str(number) for number in range(10)], [(str(first), str(second)) for first, second in numbers]
    before = connected(ids, pairs)
    random.shuffle(ids)
    random.shuffle(pairs)
    assert connected(ids, [pair[::-1] for pair in pairs]) == before
    assert all(before[first] == before[second] for first, second in pairs)


def test_a_users_groups_are_taken_as_they_are(tmp_path):
    path = _write(tmp_path, "id,group\nc,2\na,1\nb,2\n")
    assert read_groups(path, ["a", "b", "c"]) == {"a": "a", "b": "b", "c": "b"}


def test_samples_that_share_a_patient_or_a_slide_are_one_group(tmp_path):
    path = _write(tmp_path, "\ufeffid,patient,slide,note\na,P,1,x\nb,P,2,x\nc,Q,2,x\nd,R,3,x\ne,1,,x\nf,,,x\n")
    groups = read_groups(path, list("abcdef"))
    assert groups == {"a": "a", "b": "a", "c": "a", "d": "d", "e": "e", "f": "f"}


def test_every_id_that_is_unknown_repeated_or_without_a_row_is_named(tmp_path):
    path = _write(tmp_path, "id,group\na,1\nx,1\na,2\n")
    with pytest.raises(InputError) as error:
        read_groups(path, ["a", "b"])
    assert str(error.value).splitlines() == [
        f"{path}: x: there is no such sample; remove its row",
        f"{path}: a: has 2 rows; keep one",
        f"{path}: b: this sample has no row; add one",
    ]


def test_a_row_of_a_sample_that_was_skipped_is_passed_over(tmp_path):
    (tmp_path / "bad").mkdir()
    path = _write(tmp_path, "id,group\na,1\nbad,1\nb,1\n")
    assert read_groups(path, ["a", "b"]) == {"a": "a", "b": "a"}


@pytest.mark.parametrize("content", ["", "id\na\n", "name,group\na,1\n", "id,group\n", "a;1\n"])
def test_a_file_without_the_columns_or_rows_says_what_is_needed(tmp_path, content):
    with pytest.raises(InputError, match="it needs a header with id and at least one of group, patient, slide, plate"):
        read_groups(_write(tmp_path, content), ["a"])


def test_a_file_that_is_not_text_is_named(tmp_path):
    path = tmp_path / "groups.csv"
    path.write_bytes(b"id,group\n\xff\xfe,1\n")
    with pytest.raises(InputError, match=r"groups\.csv: is not UTF-8 text"):
        read_groups(path, ["a"])


def test_names_that_look_the_same_are_the_same(tmp_path):
    table = tmp_path / "groups.csv"
    table.write_text(f"id,group\n{unicodedata.normalize('NFD', 'ä')} ,Plate 1\nb,plate  1\nc,\n", encoding="utf-8")
    assert read_groups(table, ["ä", "b", "c"]) == {"ä": "b", "b": "b", "c": "c"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a," + "x" * 200_000, "field larger"),
        ('a,"x', "unexpected end"),
        ("a,\xe4", "UTF-8"),
    ],
)
def test_a_table_that_cannot_be_read_is_told_in_a_line(tmp_path, text, said):
    table = tmp_path / "groups.csv"
    table.write_text(f"id,group\n{text}", encoding="latin-1")
    with pytest.raises(InputError, match=said) as error:
        read_groups(table, ["a"])
    assert len(str(error.value).splitlines()) == 1
