"""The truth of dvc.yaml: its deps are what a stage imports, its params what it reads."""

import ast
import re
from pathlib import Path

import grimp
import pytest
from dvc.utils.serialize import load_yaml

ROOT = Path(__file__).parents[1]
STAGES = load_yaml(ROOT / "dvc.yaml")["stages"]


def imported(stage):
    """Name the modules of the package that a stage imports, directly or through others."""
    graph = grimp.build_graph("unetseg", cache_dir=None)
    script = ROOT / "stages" / f"{stage}.py"
    direct = set()
    for node in ast.walk(ast.parse(script.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module.split(".")[0] == "unetseg":
            direct.add(node.module)
            direct |= {f"{node.module}.{alias.name}" for alias in node.names} & graph.modules
        elif isinstance(node, ast.Import):
            direct |= {alias.name for alias in node.names} & graph.modules
    return direct.union(*(graph.find_upstream_modules(module) for module in direct - {"unetseg"}))


def part(module):
    """Give the folder of a module's package, or its file where it stands at the top."""
    name = [*module.split("."), "__init__"][1]
    folder = Path("src", "unetseg", name)
    return folder.as_posix() if (ROOT / folder).is_dir() else f"{folder.as_posix()}.py"


def parameters_read(stage):
    """List what a stage reads of its parameters, as `section.key` or `section`."""
    tree = ast.parse((ROOT / "stages" / f"{stage}.py").read_text())
    names = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign):
            pairs = zip(_elements(node.targets[0]), _elements(node.value), strict=False)
            names |= {name.id: section for name, value in pairs if (section := _section(value, {}))}
    read = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "model_dump":
            section = _section(node.func.value, names)
            read |= {section} if section else _included(node)
        elif isinstance(node, ast.Attribute) and (section := _section(node.value, names)) and node.attr != "model_dump":
            read.add(f"{section}.{node.attr}")
        if isinstance(node, ast.Call):  # a section that is handed on whole
            read |= {section for each in _arguments(node) if (section := _section(each, {}))}
    return read


def _arguments(call):
    return [*call.args, *(keyword.value for keyword in call.keywords)]


def _elements(node):
    return node.elts if isinstance(node, ast.Tuple) else [node]


def _section(node, names):
    """Name the section if the node is `params.section`, or a name that was given to one."""
    if isinstance(node, ast.Name):
        return names.get(node.id)
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "params":
        return None if node.attr == "model_dump" else node.attr
    return None


def _included(call):
    """List the sections that `params.model_dump(include={...})` names."""
    return {each.value for keyword in call.keywords for each in keyword.value.elts if keyword.arg == "include"}


def covered(key, declared):
    """Tell a key that is declared, alone or with its section; of a section that is read whole, any key."""
    return key in declared or key.split(".")[0] in declared or any(each.startswith(f"{key}.") for each in declared)


@pytest.mark.parametrize("stage", STAGES)
def test_no_import_of_a_stage_leaves_the_folders_that_it_declares_and_none_is_declared_in_vain(stage):
    declared = sorted(dep for dep in STAGES[stage]["deps"] if dep.startswith(("src/", "stages/")))
    expected = sorted({f"stages/{stage}.py", *map(part, imported(stage))})
    assert declared == expected, f"code among the deps of {stage} in dvc.yaml should be: {', '.join(expected)}"


@pytest.mark.parametrize("stage", STAGES)
def test_the_params_that_a_stage_declares_are_those_that_it_reads(stage):
    declared, read = set(STAGES[stage]["params"]), parameters_read(stage)
    assert {key for key in read if not covered(key, declared)} == set(), "read but not declared"
    unread = {
        key
        for key in declared
        if not any(key in (each, each.split(".")[0]) or each == key.split(".")[0] for each in read)
    }
    assert unread == set(), "declared but not read"


@pytest.mark.parametrize("stage", STAGES)
def test_no_section_is_named_as_a_whole_that_has_a_key_which_the_run_cache_passes_over(stage):
    sections = load_yaml(ROOT / "params.yaml")
    assert "size" in sections["image"]
    for name in STAGES[stage]["params"]:
        if name in sections:
            assert {"size", "nfiles"}.isdisjoint(sections[name]), f"dvc would take a result of another {name}.size"


@pytest.mark.parametrize("stage", STAGES)
def test_no_value_of_params_goes_through_the_shell(stage):
    assert set(re.findall(r"\$\{(\w+)", STAGES[stage]["cmd"])) <= {"path"}


def test_the_model_is_declared_as_an_artifact():
    (artifact,) = load_yaml(ROOT / "dvc.yaml")["artifacts"].values()
    assert artifact["type"] == "model"
    assert artifact["path"] in load_yaml(ROOT / "dvc.yaml")["vars"][0]["path"].values()


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_says_what_it_does(stage):
    assert STAGES[stage]["desc"]


def test_a_stage_has_one_main():
    for script in (ROOT / "stages").glob("*.py"):
        assert script.read_text().count("def main(") == 1, script.name


def test_the_stages_are_the_six_of_the_mission():
    assert list(STAGES) == ["unzip", "preprocess", "split", "train", "evaluate", "plot"]
