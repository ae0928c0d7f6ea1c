import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import hypothesis
import jaxtyping
import pytest
from pipeline import Project, make_project

hypothesis.settings.register_profile("project", deadline=None)  # a busy computer is no defect
hypothesis.settings.load_profile("project")
jaxtyping.install_import_hook("unetseg", "beartype.beartype")

ROOT = Path(__file__).parents[1]


@pytest.fixture
def realdata() -> Path:
    """The folder of real images that stands beside the project, where it does."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the real images are not in ../shared/data")
    return folder


@pytest.fixture(scope="session")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A small project that was committed and has not run. Shared by all tests: work on copies of it."""
    return make_project(tmp_path_factory.mktemp("fresh") / "project")


@pytest.fixture(scope="session")
def finished(fresh: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The same project after `dvc repro`, nothing of it committed. Shared by all tests: work on copies of it."""
    project = fresh.copy(tmp_path_factory.mktemp("finished") / "project")
    project.dvc("repro")
    return project
