import unicodedata

import pytest

from unetseg.dataset.groups import read_groups
from unetseg.errors import InputError


def _write(folder, text):
    path = folder / "groups.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_table_is_read_with_all_its_columns_and_one_of_a_header_alone_has_no_rows(tmp_path):
    assert read_groups(_write(tmp_path, "\ufeffid,slide,note\na,1,x\n"), ["a"]) == [
        {"id": "a", "slide": "1", "note": "x"}
    ]
    for header in ("id,group\n", '"id","group"\n'):
        assert read_groups(_write(tmp_path, header), ["a"]) == []


def test_known_columns_are_found_however_they_are_written_and_only_once(tmp_path):
    table = _write(tmp_path, "ID, Slide,Patient,Note\na,1,P,x\n")
    assert read_groups(table, ["a"]) == [{"id": "a", "slide": "1", "patient": "P", "Note": "x"}]
    for twice in ("id,plate,Plate\na,1,2\n", "id,plate,plate\na,1,2\n", "Plate,id,plate\n"):
        with pytest.raises(InputError, match=r"groups\.csv: has several columns plate; keep one"):
            read_groups(_write(tmp_path, twice), ["a"])


def test_every_id_that_is_unknown_repeated_or_without_a_row_is_named(tmp_path):
    path = _write(tmp_path, "id,group\na,1\nx,1\na,2\n")
    with pytest.raises(InputError) as error:
        read_groups(path, ["a", "b"])
    assert str(error.value).splitlines() == [
        f"{path}: x: there is no such sample; remove its row",
        f"{path}: a: has several rows; keep one",
        f"{path}: b: this sample has no row; add one",
    ]


@pytest.mark.parametrize("content", ["", "id\na\n", "name,group\na,1\n", "id;group\na;1\n", "ID,Case\na,1\n"])
def test_a_file_without_the_columns_or_rows_says_what_is_needed(tmp_path, content):
    columns = "at least one of group, patient, slide, plate, experiment, stack"
    header = content.partition("\n")[0]
    needed = f"it needs a header with id and {columns}, then one row per sample; its header is '{header}', and names"
    with pytest.raises(InputError, match=needed):
        read_groups(_write(tmp_path, content), ["a"])


@pytest.mark.parametrize("content", [b"id,group\n\xff\xfe,1\n", b"\xef\xbb", b"\xef"])
def test_a_file_that_is_not_text_is_named(tmp_path, content):
    path = tmp_path / "groups.csv"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"groups\.csv: is not UTF-8 text"):
        read_groups(path, ["a"])


def test_names_that_look_the_same_are_the_same(tmp_path):
    table = tmp_path / "groups.csv"
    table.write_text(f"id,group\n{unicodedata.normalize('NFD', 'ä')} ,plate  1\n", encoding="utf-8")
    assert read_groups(table, ["ä"]) == [{"id": "ä", "group": "plate 1"}]


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


def test_spaces_in_the_header_mean_nothing_and_a_column_without_a_name_is_left_out(tmp_path):
    table = _write(tmp_path, ",id, group \n0,a  b, 1\n")
    assert read_groups(table, ["a  b"]) == [{"id": "a  b", "group": "1"}]


def test_a_row_with_more_values_than_columns_is_named(tmp_path):
    table = _write(tmp_path, "id,group\na,1,junk\nb,2,\n")
    with pytest.raises(InputError) as error:
        read_groups(table, ["a", "b"])
    told = "a: has more values than the header has columns; quote commas in values"
    assert str(error.value) == f"{table}: {told}"
