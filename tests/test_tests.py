"""The tests stand alone, and test what others may use."""

import ast
from pathlib import Path

import pytest

MODULES = sorted(Path(__file__).parent.rglob("*.py"))


def imports(module):
    """List the imported modules, and the names imported from them."""
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.stem)
def test_no_module_imports_a_test_module_or_a_private_name(module):
    for name in imports(module):
        assert not name.startswith("test_"), name
        assert not [part for part in name.split(".") if part.startswith("_") and not part.startswith("__")], name
