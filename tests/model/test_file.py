import json
import os
import tempfile
import tracemalloc
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
from spots import tiny_model

from unetseg.errors import InputError
from unetseg.model import keras
from unetseg.model.facts import read_facts
from unetseg.model.file import load_model, save_model


@pytest.fixture
def model():
    return tiny_model()


def rewrite(source, target, change):
    """Copy a zip member by member; `change` gives the new (name, content) or None to leave it out."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            if changed := change(name, old.read(name)):
                new.writestr(*changed)
    return target


def test_the_same_weights_are_the_same_bytes(tmp_path, model):
    for name in ("a", "b"):
        save_model(tmp_path / f"{name}.keras", model, {"seed": 1})
    assert (tmp_path / "a.keras").read_bytes() == (tmp_path / "b.keras").read_bytes()


def test_a_saved_model_and_its_facts_come_back(tmp_path, model):
    save_model(tmp_path / "m.keras", model, {"seed": 1, "name": "é"})
    loaded = load_model(tmp_path / "m.keras")
    for ours, theirs in zip(model.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert read_facts(tmp_path / "m.keras") == {"seed": 1, "name": "é"}


def test_a_model_of_others_has_no_facts(tmp_path, model):
    model.save(tmp_path / "m.keras")
    assert read_facts(tmp_path / "m.keras") == {}


def test_a_lambda_is_refused(tmp_path):
    inputs = keras.Input((4,))
    keras.Model(inputs, keras.layers.Lambda(lambda x: x * 2)(inputs)).save(tmp_path / "m.keras")
    with pytest.raises(InputError, match=r"m\.keras: refused, its Lambda layer could run any code"):
        load_model(tmp_path / "m.keras")


def test_weights_that_are_links_to_other_files_are_refused(tmp_path, model):
    model.save(tmp_path / "m.keras")
    with h5py.File(tmp_path / "link.h5", "w") as file:
        file["layers"] = h5py.ExternalLink("/etc/passwd", "/x")
    linked = rewrite(
        tmp_path / "m.keras",
        tmp_path / "l.keras",
        lambda name, content: (name, (tmp_path / "link.h5").read_bytes() if name.endswith(".h5") else content),
    )
    with pytest.raises(InputError, match="are a link to the file '/etc/passwd'"):
        load_model(linked)


def test_weights_that_are_stored_in_other_files_are_refused(tmp_path, model):
    model.save(tmp_path / "m.keras")
    with h5py.File(tmp_path / "outside.h5", "w") as file:
        file.create_dataset("vars", (4,), "f4", external=[("/etc/passwd", 0, 16)])
    outside = rewrite(
        tmp_path / "m.keras",
        tmp_path / "o.keras",
        lambda name, content: (name, (tmp_path / "outside.h5").read_bytes() if name.endswith(".h5") else content),
    )
    with pytest.raises(InputError, match="'vars' are stored in other files"):
        load_model(outside)


@pytest.mark.parametrize("name", ["../evil", "/etc/evil", "a/../../evil", "C:\\evil", "a\\..\\evil"])
def test_a_path_in_a_members_name_is_refused(tmp_path, model, name):
    model.save(tmp_path / "m.keras")
    with zipfile.ZipFile(tmp_path / "m.keras", "a") as file:
        file.writestr(name, "x")
    with pytest.raises(InputError, match="points outside the file"):
        load_model(tmp_path / "m.keras")


@pytest.mark.parametrize("content", [b"", b"text", b"PK\x05\x06" + bytes(18)])
def test_what_is_no_model_is_said_in_a_line(tmp_path, content):
    (tmp_path / "m.keras").write_bytes(content)
    with pytest.raises(InputError, match=r"m\.keras: not a \.keras file"):
        load_model(tmp_path / "m.keras")


def test_a_missing_model_is_said_in_a_line(tmp_path):
    with pytest.raises(InputError, match="No such file"):
        load_model(tmp_path / "m.keras")


@pytest.mark.parametrize("name", ["config.json", "model.weights.h5"])
def test_damage_inside_is_said_in_a_line(tmp_path, model, name):
    model.save(tmp_path / "m.keras")
    damaged = rewrite(
        tmp_path / "m.keras", tmp_path / "d.keras", lambda each, old: (each, b"{" if each == name else old)
    )
    with pytest.raises(InputError, match=r"d\.keras: damaged"):
        load_model(damaged)


def test_an_unknown_layer_is_refused_with_a_reason(tmp_path, model):
    model.save(tmp_path / "m.keras")

    def change(name, content):
        if name == "config.json":
            config = json.loads(content)
            config["config"]["layers"][1] |= {"module": "os", "class_name": "system", "registered_name": None}
            content = json.dumps(config).encode()
        return name, content

    with pytest.raises(InputError, match="refused, Keras cannot load it safely"):
        load_model(rewrite(tmp_path / "m.keras", tmp_path / "u.keras", change))


@pytest.mark.parametrize(
    "facts",
    ["[]", "null", "3", "{", "\xff", "[" * 100_000, '{"trained_with": []}', '{"trained_with": {"image": "resize"}}',
     '{"trained_with": {"data": 5}}', '{"trained_with": {"data": {"project": "sum"}}}',
     '{"threshold": null}', '{"threshold": 5}', '{"threshold": -1}', '{"threshold": [1]}', '{"threshold": NaN}',
     '{"threshold": true}', '{"threshold": 1e400}', '{"n": ' + "9" * 5000 + "}", ""],
)  # fmt: skip
def test_facts_of_another_form_are_refused_in_a_line(tmp_path, model, facts):
    model.save(tmp_path / "m.keras")
    with zipfile.ZipFile(tmp_path / "m.keras", "a") as file:
        file.writestr("unetseg.json", facts.encode("latin-1"))
    with pytest.raises(InputError, match=r"m\.keras: damaged, unetseg\.json") as error:
        read_facts(tmp_path / "m.keras")
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize("name", ["config.json", "model.weights.h5", "unetseg.json", "assets/x"])
def test_a_member_that_unpacks_to_absurd_sizes_is_refused_in_little_memory(tmp_path, model, name):
    model.save(tmp_path / "m.keras")
    bomb = tmp_path / "b.keras"
    rewrite(tmp_path / "m.keras", bomb, lambda each, old: None if each == name else (each, old))
    with zipfile.ZipFile(bomb, "a", zipfile.ZIP_DEFLATED) as file, file.open(name, "w", force_zip64=True) as member:
        for _ in range(60):
            member.write(bytes(10**6))
    tracemalloc.start()
    with pytest.raises(InputError, match=f"its member {name} unpacks to far more"):
        load_model(bomb)
    assert tracemalloc.get_traced_memory()[1] < 1.2e8
    tracemalloc.stop()


def test_a_member_that_is_a_link_is_refused(tmp_path, model):
    model.save(tmp_path / "m.keras")
    link = zipfile.ZipInfo("assets/x")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "m.keras", "a") as file:
        file.writestr(link, "/etc/passwd")
    with pytest.raises(InputError, match="'assets/x' is a link"):
        load_model(tmp_path / "m.keras")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_no_numbers_are_refused(tmp_path, model, value):
    model.set_weights([np.full_like(weight, value) for weight in model.get_weights()])
    model.save(tmp_path / "m.keras")
    with pytest.raises(InputError, match="its weights hold NaN or infinity"):
        load_model(tmp_path / "m.keras")


def pointwise(activation, size=16, channels=3, dtype="float32"):
    image = keras.Input((size, size, channels), dtype=dtype)
    return keras.Model(image, keras.layers.Conv2D(1, 1, activation=activation, kernel_initializer="ones")(image))


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (pointwise(None), "it gives 0 to 7.., no probabilities"),
        (pointwise("sigmoid", channels=1), "a model takes images"),
        (pointwise("sigmoid", dtype="uint8"), "a model takes float32; this one takes uint8"),
        (pointwise("sigmoid", size=None), "a model takes images"),
        (keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]), "a model takes images"),
    ],
)
def test_a_model_that_gives_no_probabilities_for_images_is_refused(tmp_path, model, said):
    model.save(tmp_path / "m.keras")
    with pytest.raises(InputError, match=said):
        load_model(tmp_path / "m.keras")


def test_a_folder_a_pipe_and_a_device_are_no_models(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(InputError, match=rf"^{path}: not a .keras file: it is no regular file$"):
            load_model(path)


def test_nothing_stays_in_the_folder_for_temporary_files_after_a_refusal(tmp_path, model, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "scratch"))
    (tmp_path / "scratch").mkdir()
    model.save(tmp_path / "m.keras")
    broken = rewrite(
        tmp_path / "m.keras",
        tmp_path / "b.keras",
        lambda name, old: (name, old.replace(b"Conv2D", b"Conv9D") if name == "config.json" else old),
    )
    with pytest.raises(InputError, match="refused"):
        load_model(broken)
    assert list((tmp_path / "scratch").iterdir()) == []
