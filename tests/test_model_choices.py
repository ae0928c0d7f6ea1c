"""The figures of exported models are those of the model that is shipped."""

import json
from pathlib import Path

from unetseg.files import sha256

ROOT = Path(__file__).parents[1]
FIGURES = json.loads((ROOT / "metrics" / "export.json").read_text())
PAGE = (ROOT / "docs" / "model-choices.md").read_text()
AGAIN = "the pretrained model changed: run `python benchmarks/export.py ../shared/data/stage1_small.zip`"


def test_the_figures_of_exports_are_those_of_the_shipped_model():
    assert FIGURES["sha256"] == sha256(ROOT / "pretrained" / FIGURES["model"]), AGAIN


def test_the_table_of_exports_shows_the_figures():
    for row in FIGURES["rows"]:
        assert f"| {' | '.join(map(str, row.values()))} |" in PAGE
    assert {"onnx float32", "litert int8"} <= {row["runtime"] for row in FIGURES["rows"]}
