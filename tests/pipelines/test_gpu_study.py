"""The whole study of the environment gpu with tiny models of four architectures, loaded as hub models are."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import pandas as pd
import pytest
from tests.pipelines.gpu_study import FURTHER_ORDERINGS, SHAPES, kedro_run_gpu, make_hub, shrink

from persistence_pipeline.agents.families import MODEL_FAMILIES, recorded_family
from persistence_pipeline.agents.tokenizer import load_tokenizer
from persistence_pipeline.datasets import CheckpointDataset, JsonLinesDataset
from persistence_pipeline.rollout.run import RolloutSettings, roll_out
from projects import copy_project

CELL = "tiny_qwen2_b0p1_s0_safety_then_helpfulness"


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Tiny models as directories of the hub."""
    return make_hub(tmp_path_factory.mktemp("hub"))


@pytest.fixture(scope="module")
def project(hub: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project in which ``kedro run --env=gpu`` has run."""
    target = copy_project(tmp_path_factory.mktemp("gpu") / "project")
    shrink(target, hub)
    kedro_run_gpu(target)
    return target


def _data(project: Path, path: str) -> Path:
    return project / "data/gpu" / path


@pytest.mark.slow
def test_every_cell_of_every_architecture_is_in_the_summary(project: Path) -> None:
    summary = json.loads(_data(project, "08_reporting/summary.json").read_text())
    assert {(cell["source"], cell["ordering"]) for cell in summary["cells"]} == {
        *((source, ordering) for source in SHAPES for ordering in ("source", "safety", "safety>helpfulness")),
        *(("tiny_qwen2", ordering) for ordering in FURTHER_ORDERINGS),
    }
    assert _data(project, "08_reporting/report.html").is_file()


@pytest.mark.slow
def test_every_stage_is_lora_merged_into_its_parent(project: Path) -> None:
    """The first loss is ln 2: the reference of a second stage is the merged checkpoint of the first."""
    from safetensors.torch import load_file

    reports = sorted(_data(project, "08_reporting/training").glob("*/report.json"))
    assert len(reports) == 2 * len(SHAPES) + len(FURTHER_ORDERINGS)
    for path in reports:
        assert json.loads(path.read_text())["first_loss"] == pytest.approx(0.6931, abs=1e-3)
    for source, (_, family) in SHAPES.items():
        models = [source, f"{source}_b0p1_s0_safety", f"{source}_b0p1_s0_safety_then_helpfulness"]
        folders = [_data(project, f"06_models/{name}") for name in models]
        weights = [load_file(folder / "model.safetensors") for folder in folders]
        assert weights[0].keys() == weights[1].keys() == weights[2].keys(), "no adapters are left"
        for before, after in pairwise(weights):
            assert any((before[name] != after[name]).any() for name in before)
        assert all(CheckpointDataset(filepath=str(folder)).exists() for folder in folders)
        assert recorded_family(load_tokenizer(folders[2])) == MODEL_FAMILIES[family]


@pytest.mark.slow
def test_episodes_show_tools_and_pairs_hold_scripts_by_parameter(project: Path) -> None:
    def load(path: str, record: str) -> list[object]:
        where = str(_data(project, path))
        return list(JsonLinesDataset(filepath=where, record=f"persistence_pipeline.records.{record}").load())

    for source in SHAPES:
        for trajectory in load(f"07_model_output/rollouts/{source}_s0/trajectories.jsonl", "Trajectory"):
            assert [m.role for m in trajectory.messages][:2] == ["system", "user"]  # type: ignore[attr-defined]
            assert len(trajectory.tools) >= 8  # type: ignore[attr-defined]
        candidates = pd.read_parquet(_data(project, f"04_feature/{source}_s0/candidate_table.parquet"))
        assert set(candidates["policy"]) == {f"{source}_s0", "careful", "careless", "refusing"}
        pairs = load(f"05_model_input/{source}_s0/pairs_safety.jsonl", "PreferencePair")
        assert pairs and all(len(pair.tools) >= 8 for pair in pairs)  # type: ignore[attr-defined]


@pytest.mark.slow
def test_a_trained_cell_plays_through_transformers_serve(project: Path, transformers_serve: str) -> None:
    """The checkpoint that the study left is served as it lies, and its episodes come back as trajectories."""
    from persistence_pipeline.world.cases import Case

    where = str(_data(project, "03_primary/seed0/cases.jsonl"))
    record = "persistence_pipeline.world.cases.Case"
    cases = [c for c in JsonLinesDataset(filepath=where, record=record).load() if isinstance(c, Case)][:4]
    served = {
        "base_url": transformers_serve,
        "model": "{checkpoint}",
        "concurrency": 4,
        "family": "qwen2_5",
        "timeout_s": 600,
    }
    settings = RolloutSettings.model_validate(
        {"samples": 1, "max_turns": 2, "max_turn_tokens": 8, "served": served, "journal": project / "journal"}
    )
    played = roll_out(_data(project, f"06_models/{CELL}"), cases, settings, policy=CELL, seed=0)
    assert [t.case_id for t in played] == [case.case_id for case in cases]
    assert {t.stop_reason for t in played} <= {"max_turns", "finish"}
    assert all(t.flags["calls"] and t.flags["new_tokens"] for t in played)
