"""The ``published`` pipeline as Kedro runs it, and its page."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from published_clone import some_group
from tests.projects import HANGS

from persistence_pipeline.published.settings import PublishedSettings
from persistence_pipeline.report.browser import ReportSettings

PROJECT = Path(__file__).parents[2]


OUTPUTS = ("summary", "report", "quarantine", "pairs")


def run(settings: PublishedSettings, folder: Path, outputs: tuple[str, ...] = OUTPUTS) -> dict[str, Any]:
    """Run the pipeline with the catalog of ``conf/base``, its data below ``folder``; returns loaded outputs."""
    from kedro.config import OmegaConfigLoader
    from kedro.io import DataCatalog
    from kedro.runner import SequentialRunner

    from persistence_pipeline.pipelines.published import create_pipeline
    from persistence_pipeline.study import StudyDesign

    loader = OmegaConfigLoader(
        str(PROJECT / "conf"), base_env="base", default_run_env="base", runtime_params={"data": str(folder)}
    )
    loader.config_patterns["catalog"] = ["catalog_published*"]
    text = json.dumps(loader["catalog"]).replace('"data/', f'"{folder}/')
    catalog = DataCatalog.from_config(json.loads(text))
    catalog["params:published"] = settings
    catalog["params:report"] = ReportSettings()
    SequentialRunner().run(create_pipeline({}, StudyDesign()), catalog)
    return {name: catalog.load(f"published.{name}") for name in outputs}


def test_the_pipeline_ends_in_a_summary_and_a_page(settings: PublishedSettings, tmp_path: Path) -> None:
    outputs = run(settings, tmp_path / "data")
    summary = outputs["summary"]
    assert set(summary) == {"frontier", "persistence", "pairs", "audits", "run"}
    assert {"n", "r2", "slope", "intercept", "p"} <= set(summary["frontier"]["match"]["all"])
    ratio = summary["persistence"]["match"]["0.1"]["Llama3.1-8B|q32"]["helpfulness"]
    assert {"estimate", "low", "high", "published_interval"} <= set(ratio)
    assert {"n_pairs", "n_cases"} <= set(summary["pairs"]["gpt5m"]["both"])
    assert summary["audits"]["sensitivity"]["caveat"]
    assert "NaN" not in (tmp_path / "data/08_reporting/published/summary.json").read_text("utf-8")
    assert summary["run"]["n_with_replicates"] == 30
    assert set(outputs["pairs"]) >= {"q32/every/safety", "gpt5m/every/helpfulness"}
    page = outputs["report"]
    assert not re.search(r"<(?:script|link|img)[^>]+(?:src|href)=.?https?:", page)
    assert "Nothing was set aside" in page


@pytest.mark.parametrize("absent", ["data", "results", "assets"])
def test_a_part_of_a_clone_is_enough(
    absent: str, settings: PublishedSettings, clone: Path, tmp_path: Path
) -> None:
    shutil.rmtree(clone / absent)
    (clone / ("data/raw_data_by_eval" if absent == "data" else "results")).mkdir(parents=True, exist_ok=True)
    outputs = run(settings, tmp_path / "data", outputs=("summary", "report"))
    summary, page = outputs["summary"], outputs["report"]
    assert bool(summary["frontier"]) == (absent != "results")
    assert bool(summary["pairs"]) == (absent != "data")
    assert ("hold no trained configurations" in page) == (absent == "results")
    assert ("no pairs are exported" in page) == (absent == "assets")


def test_what_was_set_aside_is_in_the_page(settings: PublishedSettings, clone: Path, tmp_path: Path) -> None:
    path = some_group(clone, "pool")
    lines = path.read_text("utf-8").splitlines()
    path.write_text("\n".join([*lines[:-1], lines[-1][:40]]) + "\n", encoding="utf-8")
    outputs = run(settings.model_copy(update={"on_error": "quarantine"}), tmp_path / "data")
    assert outputs["summary"]["run"]["n_set_aside"] == 1
    assert outputs["summary"]["audits"]["quarantine"] == [{"kind": "json", "n_faults": 1, "n_trajectories": 1}]
    assert path.name in outputs["report"]
    assert outputs["quarantine"]["line"].tolist() == [6]


def test_names_from_outside_are_escaped(settings: PublishedSettings, clone: Path, tmp_path: Path) -> None:
    path = some_group(clone)
    path.with_name("<img src=x onerror=alert(1)>.jsonl").write_text("{}\n", encoding="utf-8")
    page = run(settings.model_copy(update={"on_error": "quarantine"}), tmp_path / "data")["report"]
    assert "<img src=x" not in page
    assert "&lt;img src=x" in page


def test_a_wrong_root_ends_in_one_clear_line() -> None:
    command = [sys.executable, "-m", "kedro", "run", "--pipelines=published", "--params=published.root=/no/clone"]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=HANGS, check=False)
    assert done.returncode != 0
    assert "published.root: no directory /no/clone" in re.sub(r"\s+", " ", done.stdout + done.stderr)


@pytest.mark.parametrize("fault", [{"on_error": "ignore"}, {"replicates": "max"}, {"n_cases": 1}, {"rooot": "x"}])
def test_settings_refuse_what_they_do_not_know(fault: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(fault))):
        PublishedSettings(**fault)
