"""Parts of a clone, and clones that lie behind links: read as far as they go, or refused in one line."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from published_clone import N_CASES, POOL_MODELS, configuration
from tests.published.conftest import run_nodes

from persistence_pipeline.published import importing
from persistence_pipeline.published.layout import PublishedError, find_groups
from persistence_pipeline.published.settings import PublishedSettings
from persistence_pipeline.schemas import ScoreTable

RESULTS = "results/match_eval_results"


def _page(settings: PublishedSettings) -> tuple[dict[str, Any], str]:
    """The summary and the page of all that a clone holds."""
    made = run_nodes(settings.model_copy(update={"n_draws": 40, "sensitivity_draws": 10}))
    ScoreTable.validate(made.scores)
    return made.summary, made.text


@pytest.mark.parametrize(
    "stages", [("help",), ("safe", "help"), ("both",)], ids=["an arm of both ratios", "an arm of one", "no arm"]
)
def test_a_clone_without_one_configuration(
    clone: Path, settings: PublishedSettings, stages: tuple[str, ...]
) -> None:
    shutil.rmtree(clone / RESULTS / configuration(stages, "q32", 0))
    summary, page = _page(settings)
    assert "<html" in page
    entry = summary["persistence"]["match"]["0.1"]["q32"]["safety"]
    assert entry["published_interval"]["low"] is not None


def test_arms_without_a_common_seed_are_not_compared_and_named(clone: Path, settings: PublishedSettings) -> None:
    for stages, seed in ((("help",), 0), (("safe",), 1)):
        shutil.rmtree(clone / RESULTS / configuration(stages, "q32", seed))
    summary, page = _page(settings)
    assert "safety" not in (summary["persistence"]["match"]["0.1"].get("q32") or {})
    text = "persistence of safety, Llama3.1-8B, q32, beta 0.1: no seed has all of safety"
    assert text in "".join(summary["audits"]["unmatched"]["match"]) and text in page


def test_a_clone_without_its_source_is_refused_in_one_line(clone: Path, settings: PublishedSettings) -> None:
    shutil.rmtree(clone / RESULTS / POOL_MODELS[2])
    with pytest.raises(PublishedError, match=r"^set match: Llama3.1-8B was trained .*[^\n]*$"):
        _page(settings)


@pytest.mark.parametrize("below", ["data/raw_data_by_eval", "data/raw_data_by_eval/q32", f"{RESULTS}", "results"])
def test_linked_folders_are_read(clone: Path, settings: PublishedSettings, tmp_path: Path, below: str) -> None:
    whole = importing.import_clone(settings)["episodes"]
    (clone / below).rename(tmp_path / "elsewhere")
    (clone / below).symlink_to(tmp_path / "elsewhere")
    linked = importing.import_clone(settings.model_copy(update={"cache": str(tmp_path / "another")}))["episodes"]
    assert len(whole) > N_CASES
    pd.testing.assert_frame_equal(whole, linked)


def test_every_configuration_may_be_a_link(clone: Path, tmp_path: Path) -> None:
    groups, faults = find_groups(clone)
    for number, folder in enumerate(sorted((clone / RESULTS).iterdir())):
        folder.rename(tmp_path / f"on_another_disk_{number}")
        folder.symlink_to(tmp_path / f"on_another_disk_{number}")
    assert find_groups(clone) == (groups, faults) and len(groups) > 20


def test_a_link_to_where_it_lies_is_followed_once(clone: Path) -> None:
    groups, _ = find_groups(clone)
    (clone / RESULTS / configuration(("both",), "q32", 0) / "again").symlink_to(clone / RESULTS)
    assert find_groups(clone)[0] == groups
