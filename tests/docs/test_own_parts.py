"""Pairs and judges of one's own, as the documentation shows them."""

from __future__ import annotations

import runpy
from pathlib import Path

import pandas as pd
import pytest

from persistence_pipeline.analysis.bootstrap import draw_means
from persistence_pipeline.analysis.frontier_summary import frontier_summary
from persistence_pipeline.analysis.grid import grid_table
from persistence_pipeline.analysis.summary import cell_summaries, persistence_summary
from persistence_pipeline.datasets import JsonLinesDataset
from persistence_pipeline.report.tables import persistence_table
from persistence_pipeline.schemas import ScoreTable
from persistence_pipeline.study import Policy

EXAMPLES = Path(__file__).resolve().parents[2] / "docs/examples"


def test_a_stage_on_own_pairs(
    smoke_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "data"
    (data / "06_models").mkdir(parents=True)
    smoke = smoke_run / "data/smoke"
    (data / "05_model_input").symlink_to(smoke / "05_model_input")
    (data / "06_models/llama_s0").symlink_to(smoke / "06_models/llama")  # whose seeds share a source
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(EXAMPLES / "own_pairs.py"))
    checkpoint, change = capsys.readouterr().out.split()[-2:]
    assert (Path(checkpoint) / "model.safetensors").is_file() and float(change) > 0


def test_a_second_evaluator_goes_through_the_same_analysis(smoke_run: Path) -> None:
    judge = runpy.run_path(str(EXAMPLES / "own_judge.py"))["judge"]
    data = smoke_run / "data/smoke"

    def load(path: str, record: str) -> list[object]:
        return list(JsonLinesDataset(filepath=str(data / path), record=f"persistence_pipeline.{record}").load())

    cases = load("03_primary/seed0/cases.jsonl", "world.cases.Case")
    scores = pd.read_parquet(data / "08_reporting/scores.parquet")
    tables = [scores]
    for name, rows in scores.groupby("cell", sort=False):
        first = rows.iloc[0]
        factors = {} if first["ordering"] == "source" else {"beta": 0.1}
        policy = Policy(source="llama", seed=0, ordering=first["ordering"], factors=factors)
        trajectories = load(f"07_model_output/rollouts/{name}/trajectories.jsonl", "records.Trajectory")
        tables.append(ScoreTable.validate(judge(cases, trajectories, policy.provenance())))
    both = pd.concat(tables, ignore_index=True)
    headline = both[both["split"] == "test_combination"]
    draws = draw_means(headline, 100, 0)
    cells = cell_summaries(grid_table(both), draws)
    alone = cell_summaries(grid_table(scores), draw_means(headline[headline["evaluator"] == "state"], 100, 0))
    assert [cell["splits"] for cell in cells] == [cell["splits"] for cell in alone], "by the first evaluator"
    assert all(point["n_runs"] == 2 for point in frontier_summary(draws)["points"]), "averaged over both"
    _, rows = persistence_table({"persistence": persistence_summary(draws)})
    assert {row[0] for row in rows} == {"llama, state", "llama, brevity"}
