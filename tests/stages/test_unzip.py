import os
import runpy
import subprocess
import sys
import zipfile
import zlib
from pathlib import Path

import pytest
from values import params

from unetseg.errors import InputError
from unetseg.files import read_csv

ROOT = Path(__file__).parents[2]
STAGE = runpy.run_path(str(ROOT / "stages" / "unzip.py"))


NO_GROUPS = ROOT / "data" / "groups.csv"


def unzip(archive, out, listing, groups=NO_GROUPS, external=ROOT / "data" / "sample" / "none.zip"):
    values = params(data={"archive": str(archive), "groups": str(groups)}, evaluate={"external": str(external)})
    STAGE["main"](values, out, listing, out.with_name("used.csv"))


def pack(path, samples):
    with zipfile.ZipFile(path, "w") as file:
        for number in range(samples):
            file.writestr(f"train/{number}/images/{number}.png", b"image")
            file.writestr(f"train/{number}/masks/1.png", b"mask")
    return path


def test_the_stage_extracts_every_sample(tmp_path, capsys):
    unzip(pack(tmp_path / "a.zip", 20), tmp_path / "out", tmp_path / "out.csv")
    assert sorted(folder.name for folder in (tmp_path / "out").iterdir()) == sorted(map(str, range(20)))
    assert (tmp_path / "out" / "7" / "masks" / "1.png").read_bytes() == b"mask"
    rows = read_csv(tmp_path / "out.csv")
    assert rows[0] == {"path": "0/images/0.png", "bytes": "5", "crc32": f"{zlib.crc32(b'image'):08x}"}
    assert len(rows) == 40
    assert "left out" not in capsys.readouterr().err


def test_the_stage_tells_what_it_leaves_out(tmp_path, capsys):
    packed = pack(tmp_path / "a.zip", 20)
    with zipfile.ZipFile(packed, "a") as file:
        file.writestr("README.md", b"text")
    unzip(packed, tmp_path / "out", tmp_path / "out.csv")
    assert f"{packed}: left out 1 files that belong to no sample, such as 'README.md'" in capsys.readouterr().err


def of_groups(folder, text, **encoding):
    """Write a table of groups with a row for each of twenty samples."""
    table = folder / "table.csv"
    table.write_text("id,group\n" + "".join(f"{number},{text}\n" for number in range(20)), **encoding)
    return table


def test_the_groups_are_those_of_data_groups_else_those_in_the_archive_else_none(tmp_path):
    packed, table = pack(tmp_path / "a.zip", 20), of_groups(tmp_path, "named")
    unzip(packed, tmp_path / "out", tmp_path / "out.csv")
    assert (tmp_path / "used.csv").read_text() == "id,group\n"
    with zipfile.ZipFile(packed, "a") as file:
        file.writestr("train/groups.csv", table.read_text().replace("named", "inside"))
    unzip(packed, tmp_path / "out", tmp_path / "out.csv")
    assert read_csv(tmp_path / "used.csv")[0] == {"id": "0", "group": "inside"}
    unzip(packed, tmp_path / "out", tmp_path / "out.csv", table)
    assert read_csv(tmp_path / "used.csv")[0] == {"id": "0", "group": "named"}


def test_what_is_wrong_with_a_table_in_the_archive_is_told_of_the_archive(tmp_path):
    packed = pack(tmp_path / "a.zip", 20)
    with zipfile.ZipFile(packed, "a") as file:
        file.writestr("train/groups.csv", "id,group\n0,x\n")
    with pytest.raises(InputError, match=rf"^{packed}: groups\.csv: 1: this sample has no row; add one"):
        unzip(packed, tmp_path / "out", tmp_path / "out.csv")


def test_a_table_beside_the_archive_that_nothing_names_stops_the_stage(tmp_path):
    packed = pack(tmp_path / "a.zip", 20)
    beside = of_groups(tmp_path, "beside").rename(tmp_path / "groups.csv")
    with pytest.raises(InputError, match=r"groups\.csv: is beside the archive, .* set data\.groups to this path"):
        unzip(packed, tmp_path / "out", tmp_path / "out.csv")
    unzip(packed, tmp_path / "out", tmp_path / "out.csv", beside)
    assert read_csv(tmp_path / "used.csv")[0] == {"id": "0", "group": "beside"}


def test_parameters_that_do_not_fit_stop_the_stage_before_it_extracts(tmp_path):
    with pytest.raises(InputError, match="batch_size"):
        unzip(pack(tmp_path / "a.zip", 5), tmp_path / "out", tmp_path / "out.csv")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        (None, r"no such file; set evaluate\.external in params\.yaml to your zip"),
        (b"text", "is not a zip file but a text that begins with 'text'"),
    ],
)
def test_a_wrong_external_archive_is_told_before_anything_runs(tmp_path, content, rule):
    external = tmp_path / "elsewhere.zip"
    if content:
        external.write_bytes(content)
    with pytest.raises(InputError, match=f"^{external}: {rule}"):
        unzip(pack(tmp_path / "a.zip", 20), tmp_path / "out", tmp_path / "out.csv", external=external)
    assert not (tmp_path / "out").exists()


def test_a_bad_archive_is_one_line_and_exit_status_1(tmp_path):
    text = (ROOT / "params.yaml").read_text().replace("archive: data/sample/nuclei.zip", "archive: a.zip")
    (tmp_path / "params.yaml").write_text(text)
    (tmp_path / "a.zip").write_text("no zip")
    done = subprocess.run(
        [sys.executable, ROOT / "stages" / "unzip.py", "--out", "out", "--listing", "l", "--groups", "g"],
        cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT / "src")}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    told = "is not a zip file but a text that begins with 'no zip'; download or pack it again"
    assert done.stderr == f"a.zip: {told}\n"
    assert sorted(each.name for each in tmp_path.iterdir()) == ["a.zip", "params.yaml"]


def test_an_archive_of_another_layout_is_told_what_makes_one_and_which_setting_takes_it(tmp_path):
    with zipfile.ZipFile(tmp_path / "flat.zip", "w") as file:
        file.writestr("a.png", b"image")
    then = r"--out my\.zip; then set evaluate\.external in params\.yaml to my\.zip$"
    with pytest.raises(InputError, match=then):
        unzip(pack(tmp_path / "a.zip", 20), tmp_path / "out", tmp_path / "out.csv", external=tmp_path / "flat.zip")


@pytest.mark.parametrize("name", ["run $1.zip", "a`date`.zip", 'quo"te.zip', "$(id).zip"])
def test_a_name_that_a_shell_would_expand_is_taken_as_it_stands(tmp_path, name):
    unzip(pack(tmp_path / name, 20), tmp_path / "out", tmp_path / "out.csv")
    assert len(list((tmp_path / "out").iterdir())) == 20


def test_a_table_of_groups_in_utf_16_is_read_and_one_in_latin_1_is_refused_in_a_line(tmp_path):
    packed = pack(tmp_path / "a.zip", 20)
    unzip(packed, tmp_path / "out", tmp_path / "out.csv", of_groups(tmp_path, "käse", encoding="utf-16"))
    assert read_csv(tmp_path / "used.csv")[19] == {"id": "19", "group": "käse"}
    with pytest.raises(InputError, match=r"table\.csv: is not UTF-8 text; save it again as UTF-8"):
        unzip(packed, tmp_path / "out", tmp_path / "out.csv", of_groups(tmp_path, "käse", encoding="latin-1"))
