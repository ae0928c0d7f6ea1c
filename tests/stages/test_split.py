import csv
import json
import re
import runpy
from pathlib import Path

import numpy as np
import pytest

from unetseg.dataset.archive import extract, opened
from unetseg.errors import InputError
from unetseg.images.fingerprint import fingerprint
from unetseg.images.opening import read_stored
from unetseg.params_file import load_params
from unetseg.synthetic.sample import Slide, make_tiles, write_archive

ROOT = Path(__file__).parents[2]
STAGE = runpy.run_path(str(ROOT / "stages" / "split.py"))
PARAMS = load_params(ROOT / "params.yaml")
SLIDES = [Slide("fluorescence", 2, 2, 128, 128, 10, 1)] * 4 + [Slide("tissue", 1, 2, 128, 128, 10, 3)] * 6
COLUMNS = ["index", "id", "height", "width", "channels", "objects", "foreground", "modality", "image"]


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    write_archive(folder / "a.zip", make_tiles(SLIDES))
    with opened(folder / "a.zip", PARAMS.data) as contents:
        extract(contents, folder / "unzipped")
    return folder / "unzipped"


@pytest.fixture
def run(images, tmp_path):
    """Run the stage with changed values of `split`; give the rows of its table and its report."""
    names = sorted(folder.name for folder in images.iterdir() if folder.is_dir())
    with (tmp_path / "samples.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        for index, name in enumerate(names):
            kind = "dark_grey" if name.startswith("fluorescence") else "colour"
            image = f"{name}/images/{name}.png"
            writer.writerow(dict(zip(COLUMNS, [index, name, 128, 128, 3, 6, 0.1, kind, image], strict=True)))
    pictures = [read_stored(images / name / "images" / f"{name}.png").pixels for name in names]
    np.save(tmp_path / "fingerprints.npy", np.stack([fingerprint(pixels) for pixels in pictures]))

    def run(groups="id,group\n", **values):
        split = PARAMS.split.model_copy(update=values)
        out, report = tmp_path / "split.csv", tmp_path / "split.json"
        (table := tmp_path / "groups.csv").write_text(groups)
        evaluate = PARAMS.evaluate.model_copy(update={"external": str(ROOT / "data" / "sample" / "none.zip")})
        params = PARAMS.model_copy(update={"split": split, "evaluate": evaluate})
        STAGE["main"](params, tmp_path, table, out, report)
        with out.open(newline="") as file:
            return list(csv.DictReader(file)), json.loads(report.read_text())

    return run


def test_tiles_of_one_slide_stay_together(run):
    rows, report = run(method="grouped")
    slides = {}
    for row in rows:
        slides.setdefault(row["id"].rsplit("-", 1)[0], set()).add((row["subset"], row["group"]))
    assert all(len(found) == 1 for found in slides.values())
    assert report["groups"] == len(slides) == 10
    assert report["images_with_neighbour"] == 28
    assert report["control"] == 0
    assert report["test_with_neighbour"]["here"] == 0
    assert report["test_with_neighbour"]["random"] > 0
    assert {row["stratum"] for row in rows} == {"dark_grey-128", "colour-128"}


def test_a_random_split_says_how_many_test_images_have_a_neighbour_elsewhere(run):
    _, report = run(method="random")
    assert report["test_with_neighbour"]["here"] == report["test_with_neighbour"]["random"] > 0


def test_the_rows_stand_in_the_order_of_the_samples_and_the_counts_add_up(run):
    rows, report = run(method="kfold", folds=3, fold=1)
    assert [row["id"] for row in rows] == sorted(row["id"] for row in rows)
    for subset in ("train", "validation", "test"):
        assert report[subset]["images"] == sum(row["subset"] == subset for row in rows)
        assert sum(report[subset]["kinds"].values()) == report[subset]["images"]


def test_two_runs_write_the_same_bytes(run, tmp_path):
    run(method="grouped")
    before = (tmp_path / "split.csv").read_bytes()
    run(method="grouped")
    assert (tmp_path / "split.csv").read_bytes() == before


def test_a_users_groups_take_precedence_over_what_was_found(run, images):
    names = sorted(folder.name for folder in images.iterdir())
    given = "id,patient\n" + "".join(f"{name},{number % 5}\n" for number, name in enumerate(names))
    rows, report = run(given, method="grouped")
    assert report["grouped_by"] == "groups.csv"
    assert report["groups"] == 5
    assert len({(number % 5, row["subset"]) for number, row in enumerate(rows)}) == 5


def test_relatives_that_the_table_keeps_apart_and_columns_without_use_are_told(run, images, capsys):
    names = sorted(folder.name for folder in images.iterdir())
    rows, _ = run("id,plate,Patient ID\n" + "".join(f"{name},{name},p\n" for name in names), method="grouped")
    unused, apart = capsys.readouterr().err.splitlines()
    known = "group, patient, slide, plate, experiment, stack"
    assert unused == f"warning: table of groups: no use is made of Patient ID; known columns are {known}"
    found = re.fullmatch(
        r"warning: the table of groups keeps apart \d+ pairs of images that look like copies or parts of one picture, "
        r"such as (\S+) in (\S+) and (\S+) in (\S+); give them one group, if they are",
        apart,
    )
    subsets = {row["id"]: row["subset"] for row in rows}
    assert found
    assert (subsets[found[1]], subsets[found[3]]) == (found[2], found[4])
    assert found[1].rsplit("-", 1)[0] == found[3].rsplit("-", 1)[0]
    run(method="random")
    run("id,plate\n" + "".join(f"{name},{name.rsplit('-', 1)[0]}\n" for name in names), method="grouped")
    assert capsys.readouterr().err == ""


def test_a_table_that_names_experiments_alone_leaves_the_fields_to_be_found(run, images):
    names = sorted(folder.name for folder in images.iterdir())
    given = "id,experiment\n" + "".join(f"{name},{name.split('-')[0]}\n" for name in names)
    rows, report = run(given, method="experiment", folds=2)
    assert (report["found_by"], report["grouped_by"]) == ("groups.csv", "fields")
    assert report["groups"] == 10
    assert len({row["id"].split("-")[0] for row in rows if row["subset"] == "test"}) == 1


def test_a_table_whose_groups_are_all_empty_names_none(run, images):
    names = sorted(folder.name for folder in images.iterdir())
    _, report = run("id,group\n" + "".join(f"{name},\n" for name in names), method="grouped")
    assert (report["groups"], report["grouped_by"]) == (10, "fields")


def test_a_split_that_leaves_nothing_to_score_is_refused_before_the_training(run):
    with pytest.raises(InputError, match=r"split\.test: 0 leaves nothing to score"):
        run(test=0.0)
