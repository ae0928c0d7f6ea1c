"""The truth of dvc.yaml: its deps are what a stage imports, its params what it reads."""

import ast
from pathlib import Path

import grimp
import pytest
from dvc.utils.serialize import load_yaml

ROOT = Path(__file__).parents[1]
STAGES = load_yaml(ROOT / "dvc.yaml")["stages"]


def closure(stage):
    """List the files of code that a stage runs: its script and every module of the package below its imports."""
    graph = grimp.build_graph("unetseg", cache_dir=None)
    script = ROOT / "stages" / f"{stage}.py"
    direct = set()
    for node in ast.walk(ast.parse(script.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module.split(".")[0] == "unetseg":
            direct.add(node.module)
            direct |= {f"{node.module}.{alias.name}" for alias in node.names} & graph.modules
        elif isinstance(node, ast.Import):
            direct |= {alias.name for alias in node.names} & graph.modules
    modules = direct.union(*(graph.find_upstream_modules(module) for module in direct - {"unetseg"}))
    packages = {module.rsplit(".", depth)[0] for module in modules for depth in range(module.count(".") + 1)}
    return sorted([f"stages/{stage}.py", *(_file(module) for module in modules | packages)])


def _file(module):
    path = Path("src", *module.split("."))
    return (path / "__init__.py" if (ROOT / path).is_dir() else path.with_suffix(".py")).as_posix()


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
    return read


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
    return key in declared or key.split(".")[0] in declared


@pytest.mark.parametrize("stage", STAGES)
def test_the_code_that_a_stage_depends_on_is_the_code_that_it_imports(stage):
    declared = sorted(dep for dep in STAGES[stage]["deps"] if dep.endswith(".py"))
    expected = closure(stage)
    assert declared == expected, f"deps of {stage} in dvc.yaml should be: {', '.join(expected)}"


@pytest.mark.parametrize("stage", STAGES)
def test_the_params_that_a_stage_declares_are_those_that_it_reads(stage):
    declared, read = set(STAGES[stage]["params"]), parameters_read(stage)
    assert {key for key in read if not covered(key, declared)} == set(), "read but not declared"
    unread = {key for key in declared if not any(key in (each, each.split(".")[0]) for each in read)}
    assert unread - _in_command(stage) == set(), "declared but not read"


def _in_command(stage):
    return {key for key in STAGES[stage]["params"] if f"${{{key}}}" in STAGES[stage]["cmd"]}


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_says_what_it_does(stage):
    assert STAGES[stage]["desc"]


def test_a_stage_has_one_main():
    for script in (ROOT / "stages").glob("*.py"):
        assert script.read_text().count("def main(") == 1, script.name


def test_the_stages_are_the_six_of_the_mission():
    assert list(STAGES) == ["unzip", "preprocess", "split", "train", "evaluate", "plot"]
