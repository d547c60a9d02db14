"""The small clone, and the published data where they are at hand."""

from __future__ import annotations

import os
import tarfile
from pathlib import Path

import pytest
from published_clone import N_CASES, make_clone

from persistence_pipeline.published.settings import PublishedSettings

PROJECT = Path(__file__).parents[2]
ARCHIVES = ("published-sources-q32.tar.xz", "published-results-phi4-match.tar.xz")


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A fresh small clone that a test may break."""
    return make_clone(tmp_path / "clone")


@pytest.fixture
def settings(clone: Path, tmp_path: Path) -> PublishedSettings:
    """Settings for the small clone."""
    return PublishedSettings(
        root=str(clone), n_cases=N_CASES, cache=str(tmp_path / "cache"), n_draws=200, sensitivity_draws=50
    )


@pytest.fixture(scope="session")
def published_data() -> Path:
    """Folder of the published archives; the test is skipped, visibly, where they are absent."""
    folder = Path(os.environ.get("PERSISTENCE_PUBLISHED_DATA", PROJECT.parent / "shared" / "data"))
    absent = [name for name in ARCHIVES if not (folder / name).is_file()]
    if absent:
        pytest.skip(f"no {' nor '.join(absent)} in {folder}; set PERSISTENCE_PUBLISHED_DATA to their folder")
    return folder


@pytest.fixture(scope="session")
def published_root(published_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The published archives, unpacked."""
    root = tmp_path_factory.mktemp("published")
    for name in ARCHIVES:
        with tarfile.open(published_data / name) as archive:
            archive.extractall(root, filter="data")
    return root
