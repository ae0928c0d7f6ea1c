"""The pipeline as its users run it: dvc's commands on a small project."""

import json
import re
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
from dvc.utils.serialize import load_yaml
from moto.server import ThreadedMotoServer
from pipeline import Project, ran, remove, restored

STAGES = ["unzip", "preprocess", "split", "train", "evaluate", "plot"]


@pytest.fixture
def project(finished, tmp_path):
    """A copy of the project after its first run, committed."""
    project = finished.copy(tmp_path / "project")
    project.commit()
    return project


def uncached(project):
    """List the outputs that dvc does not keep: what is cheap to make again, and what git keeps."""
    content = load_yaml(project.folder / "dvc.yaml")
    outs = [out for stage in content["stages"].values() for out in stage["outs"] + stage.get("metrics", [])]
    paths = content["vars"][0]["path"]
    written = [path for out in outs if isinstance(out, dict) for path, how in out.items() if not how["cache"]]
    return {re.sub(r"\${path\.(\w+)}", lambda name: paths[name[1]], path) for path in written}


def test_a_second_repro_runs_nothing(project):
    assert set(project.stages()) == set(STAGES)
    printed = project.dvc("repro")
    assert "Data and pipelines are up to date." in printed
    assert ran(printed) == restored(printed) == []


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"evaluate": {"threshold": 0.4}}, ["evaluate", "plot"]),
        ({"plot": {"examples": 2}}, ["plot"]),
        ({"data": {"max_ratio": 100}}, ["unzip", "evaluate"]),  # both read an archive; unzip gives the same samples
    ],
)
def test_a_change_runs_what_depends_on_it_and_no_more(project, tmp_path, monkeypatch, change, expected):
    if "data" not in change:
        monkeypatch.setattr(Project, "programs", project.copying("evaluate", "plot", beside=tmp_path / "copied"))
    project.change(change)
    assert ran(project.dvc("repro")) == expected


def test_the_same_training_once_more_leaves_a_clone_clean(project):
    project.dvc("repro", "--force", "--single-item", "train")
    assert project.run("git", "status", "--short") == ""


def test_a_comment_in_params_runs_nothing(project):
    file = project.folder / "params.yaml"
    file.write_text("# mine\n" + file.read_text())
    assert ran(project.dvc("repro")) == []


def test_metrics_show_gives_what_the_stages_wrote(project):
    shown = json.loads(project.dvc("metrics", "show", "--json"))[""]["data"]
    assert set(shown) == {f"metrics/{stage}.json" for stage in ("preprocess", "split", "train", "evaluate", "summary")}
    written = json.loads((project.folder / "metrics" / "evaluate.json").read_text())
    assert shown["metrics/evaluate.json"]["data"]["dice"] == written["dice"]
    assert 0 < written["dice"]["mean"] < 1
    table = project.dvc("metrics", "show", "metrics/evaluate.json")
    assert f"{written['dice']['mean']:.5g}" in table


def test_plots_show_draws_the_curves_and_the_pictures(project):
    project.dvc("plots", "show", "--out", "plots")
    page = (project.folder / "plots" / "index.html").read_text()
    assert '"val_dice"' in page
    for picture in (project.folder / "metrics" / "plots").iterdir():
        assert picture.name in page


def test_dag_shows_the_way_of_the_data(project):
    edges = set(re.findall(r'"?(\w+)"? -> "?(\w+)"?', project.dvc("dag", "--dot")))
    assert edges == {
        ("unzip", "preprocess"), ("unzip", "split"), ("preprocess", "split"),
        ("preprocess", "train"), ("preprocess", "evaluate"), ("preprocess", "plot"), ("split", "train"),
        ("split", "evaluate"), ("train", "evaluate"), ("train", "plot"), ("evaluate", "plot"),
    }  # fmt: skip


def test_checkout_brings_back_what_was_deleted(project):
    expected, kept_elsewhere = project.contents(), uncached(project)
    for out in project.outs():
        if str(out.relative_to(project.folder)) not in kept_elsewhere:
            remove(out)
    assert set(project.contents()) == kept_elsewhere
    project.dvc("checkout")
    assert project.contents() == expected


@pytest.fixture
def bucket(monkeypatch):
    """Name an empty bucket of an S3 server on this computer, and the address of that server."""
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    address = "http://{}:{}".format(*server.get_host_and_port())
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "any")
    with urlopen(Request(f"{address}/store", method="PUT")):  # as S3 makes a bucket
        yield "s3://store/cache", address
    server.stop()


def test_what_was_pushed_to_s3_is_pulled_into_another_clone_and_nothing_runs_again(project, bucket, tmp_path):
    url, server = bucket
    project.dvc("remote", "add", "--default", "storage", url)
    project.dvc("remote", "modify", "storage", "endpointurl", server)
    project.commit()
    project.dvc("push")
    project.run("git", "clone", "--quiet", ".", str(tmp_path / "clone"))
    clone = Project(tmp_path / "clone")
    clone.dvc("pull")
    assert clone.contents() == {out: files for out, files in project.contents().items() if "unzipped" not in out}
    assert ran(clone.dvc("repro", "--allow-missing")) == []
    assert ran(clone.dvc("repro")) == ["unzip"]  # whose outputs dvc does not keep: they are cheap to make again
    assert clone.contents() == project.contents()


def test_a_missing_archive_is_one_clear_line(project):
    (project.folder / "data" / "sample" / "nuclei.zip").unlink()
    status, printed = project.try_run("dvc", "repro")
    assert status != 0
    assert ran(printed) == []
    assert [line for line in printed.splitlines() if "nuclei.zip" in line] == printed.splitlines()


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_opens_only_files_that_it_declares(finished, stage):
    entry = finished.stages()[stage]
    declared = [Path(each["path"]) for part in ("deps", "outs") for each in entry[part]]
    declared += [Path("params.yaml"), Path("dvc.yaml")]
    declared += [Path(".unetseg")]  # what a killed training goes on from
    declared += [Path("data/unzipped")] if Path("data/unzipped.csv") in declared else []  # which stands for the folder
    opened = (finished.folder / ".dvc" / "tmp" / "opened" / stage).read_text().splitlines()
    files = [Path(path) for path in opened if (finished.folder / path).is_file() and not path.endswith(".pyc")]
    assert Path("stages", f"{stage}.py") in files
    undeclared = [path for path in files if not any(path.is_relative_to(each) for each in declared)]
    assert undeclared == []


def test_a_new_table_of_groups_runs_what_depends_on_it(project):
    table = project.folder / "data" / "groups.csv"
    table.write_text("id,group\n" + "".join(f"{number:02d},{number // 2}\n" for number in range(12)))
    assert ran(project.dvc("repro", "split")) == ["unzip", "split"]
    assert json.loads((project.folder / "metrics" / "split.json").read_text())["grouped_by"] == "groups.csv"


def test_an_edited_output_never_alters_the_cache(project):
    output = project.folder / "metrics" / "per_image.csv"
    whole = output.read_bytes()
    assert output.stat().st_nlink == 1  # no hard link, which a root user could write through
    with output.open("ab") as file:
        file.write(b"edited\n")
    project.dvc("checkout", "--force", "metrics/per_image.csv")
    assert output.read_bytes() == whole


def test_an_edited_copy_of_a_mask_is_told_before_it_is_used_and_unpacked_again_as_told(project):
    mask = project.folder / "data" / "unzipped" / "00" / "masks" / "0.png"
    whole = mask.read_bytes()
    mask.write_bytes(b"edited")
    project.change({"image": {"size": 48}})
    status, printed = project.try_run("dvc", "repro", "preprocess")
    assert status != 0
    assert "data/unzipped: is not as it was unpacked: 00/masks/0.png was changed (" in printed
    project.run(*re.search("`(dvc repro [^`]*)`", printed)[1].split())
    assert mask.read_bytes() == whole
    assert ran(project.dvc("repro", "preprocess")) == ["preprocess"]


def test_unpacked_samples_that_were_removed_are_unpacked_again(project):
    remove(project.folder / "data" / "unzipped")
    assert ran(project.dvc("repro", "preprocess")) == ["unzip"]
    assert (project.folder / "data" / "unzipped" / "00" / "masks" / "0.png").is_file()


def test_a_training_that_cannot_start_says_how_to_get_the_last_model_back(project):
    model = project.folder / "models" / "unet_model.keras"
    whole = model.read_bytes()
    project.change({"train": {"start_from": "none.keras"}})
    status, printed = project.try_run("dvc", "repro")
    assert status != 0
    assert "train.start_from: none.keras: no file is there" in printed
    assert not model.exists()  # dvc removes a stage's outputs before it runs
    assert "to get the last model back: dvc checkout models/unet_model.keras\n" in printed
    project.dvc("checkout", "models/unet_model.keras")
    assert model.read_bytes() == whole
