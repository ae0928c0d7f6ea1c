"""Benchmarks and tools run by hand, and seldom: what they import has to be there still."""

import ast
import importlib
import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = [f"{name}/{path.name}" for name in ("benchmarks", "tools") for path in sorted((ROOT / name).glob("*.py"))]


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_imports_what_is_there(script: str) -> None:
    for node in ast.walk(ast.parse((ROOT / script).read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "unetseg":
            module = importlib.import_module(str(node.module))
            for name in (each.name for each in node.names):
                assert hasattr(module, name) or importlib.util.find_spec(f"{node.module}.{name}"), (
                    f"{script}: {node.module} has no {name}"
                )
