import json
import zipfile

import h5py
import keras
import numpy as np
import pytest

from unetseg.errors import InputError
from unetseg.model.file import load_model, read_facts, save_model


@pytest.fixture
def model():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((4,))
    return keras.Model(inputs, keras.layers.Dense(2)(inputs))


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
