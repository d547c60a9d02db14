"""The small clone, and the published data where they are at hand."""

from __future__ import annotations

import os
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from published_clone import N_CASES, make_clone

from persistence_pipeline.pipelines.published import nodes
from persistence_pipeline.published.settings import PublishedSettings
from persistence_pipeline.report.browser import ReportSettings

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


@dataclass(frozen=True)
class PublishedPage:
    """A finished re-analysis: its parts and its page, without the clone's place."""

    summary: dict[str, Any]
    scores: pd.DataFrame
    pool: pd.DataFrame
    browser: dict[str, Any]
    text: str


def run_nodes(settings: PublishedSettings, report: ReportSettings | None = None) -> PublishedPage:
    """The nodes of the pipeline, one after the other."""
    episodes, conversations, quarantine = nodes.read_clone(settings)
    _, pool, scores = nodes.tabulate(episodes, settings)
    analyses = nodes.analyse_sets(scores, settings)
    table, _, counts = nodes.make_pairs(pool, scores, settings)
    audited = nodes.audit(pool, scores, episodes, table, quarantine)
    rows = nodes.measure_sensitivity(scores, settings)
    schemas = nodes.read_toolkits(settings)
    summary = nodes.summarise(analyses, counts, audited, rows, episodes, scores, quarantine, schemas, settings)
    browser = nodes.show_trajectories(episodes, pool, scores, conversations, report or ReportSettings())
    text = nodes.write_report(summary, nodes.draw_figures(summary)[0], browser, quarantine)
    return PublishedPage(summary, scores, pool, browser, text)


@pytest.fixture(scope="session")
def small_page(tmp_path_factory: pytest.TempPathFactory) -> PublishedPage:
    """The re-analysis of the small clone."""
    folder = tmp_path_factory.mktemp("page")
    settings = {"n_cases": N_CASES, "cache": str(folder / "cache"), "n_draws": 200, "sensitivity_draws": 50}
    return run_nodes(PublishedSettings(root=str(make_clone(folder / "clone")), **settings))


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
