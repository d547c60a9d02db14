"""Time and memory of a study on a pretrained model, told before it is run and without its weights."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from persistence_pipeline.agents.footprint import ModelShape
from persistence_pipeline.agents.numbers import Exact
from persistence_pipeline.planned import Planned
from persistence_pipeline.rollout.run import RolloutSettings
from persistence_pipeline.training.forecast import Load, forecast, matrix_rate
from persistence_pipeline.training.settings import StageSettings, TrainingSettings
from persistence_pipeline.training.source import SourceSettings
from persistence_pipeline.world.splits import WorldSettings, generate_cases
from real_shapes import save_hub_model

WORLD = WorldSettings(
    phrasing="natural",
    kinds=["look"],
    domains=["files", "home", "servers"],
    held_out_domain="servers",
    held_out_combinations=["home/look"],
    twins_per_group={"train": 2, "test_iid": 0, "test_combination": 2, "test_domain": 0},
)
SHARES = {"careful": 1.0}
RATES: dict[Exact, float] = {"float32": 1e11, "bfloat16": 1e11}


@pytest.fixture
def source(tmp_path: Path) -> SourceSettings:
    """A model that has lost its weights."""
    there = save_hub_model("llama", "smollm2", tmp_path / "hub")
    (there / "model.safetensors").unlink()
    warm_start = {"behaviours": SHARES, "twins_per_group": 1}
    return SourceSettings.model_validate(
        {"pretrained": {"model": str(there), "family": "smollm2"}, "warm_start": warm_start}
    )


@pytest.fixture
def load(tmp_path: Path) -> Load:
    cases = generate_cases(WORLD, 0)
    stage = StageSettings(learning_rate=1e-3, max_length=512, batch_size=1)
    return Load(
        train=[case for case in cases if case.split == "train"],
        tests=[case for case in cases if case.split != "train"],
        candidates=RolloutSettings(samples=4),
        rollout=RolloutSettings(samples=2),
        training=TrainingSettings(safety=stage, helpfulness=stage, both=stage),
        objectives=["safety", "helpfulness"],
        pairs=10,
        chains=3,
        scratch=tmp_path,
    )


def value(rows: list[Planned], what: str, quantity: str) -> float:
    (found,) = [row.value for row in rows if row.what == f"m: {what}" and row.quantity == quantity]
    assert found is not None
    return found


def test_a_study_takes_what_its_parts_take(source: SourceSettings, load: Load) -> None:
    rows = forecast("m", source, SHARES, load)
    stages = [value(rows, f"a stage on {o}, 10 pairs", "time") for o in ("safety", "helpfulness")]
    chain = value(rows, "candidates of a chain", "time") + 3 * value(rows, "rollouts of a policy", "time")
    assert value(rows, "a chain of 2 stages", "time") * 3600 == pytest.approx(chain + sum(stages))
    whole = 3 * (chain + sum(stages)) + value(rows, "warm start", "time")
    assert value(rows, "all 3 chains", "time") * 3600 == pytest.approx(whole)
    of_parts = [row.value for row in rows if row.quantity == "memory"]
    assert of_parts[-1] == max(of_parts)


def test_what_is_asked_for_more_often_takes_longer(source: SourceSettings, load: Load) -> None:
    rows, more = (
        forecast("m", source, SHARES, load, RATES),
        forecast("m", source, SHARES, replace(load, pairs=20), RATES),
    )
    once, twice = (value(r, f"a stage on safety, {n} pairs", "time") for r, n in ((rows, 10), (more, 20)))
    assert twice == pytest.approx(2 * once)
    samples = replace(load, candidates=RolloutSettings(samples=8))
    played = value(forecast("m", source, SHARES, samples, RATES), "candidates of a chain", "time")
    before = value(rows, "candidates of a chain", "time")
    assert before < played < 2 * before  # prompts are read once
    served = replace(load, candidates=None)
    assert not [row for row in forecast("m", source, SHARES, served, RATES) if "candidates" in row.what]


def test_where_nothing_can_be_told_it_says_why(source: SourceSettings, load: Load) -> None:
    on_gpu = replace(load, rollout=RolloutSettings(device="auto"))
    assert [row.value for row in forecast("m", source, SHARES, on_gpu, RATES)] == [None]
    elsewhere = SourceSettings.model_validate({"pretrained": {"model": str(load.scratch / "none.gguf")}})
    (row,) = forecast("m", elsewhere, SHARES, load, RATES)
    assert row.value is None and "none.gguf" in row.unit


def test_the_rate_is_that_of_products() -> None:
    shape = ModelShape(vocabulary=64, hidden=64, layers=2, heads=2, key_heads=1, head_size=32, inner=96, tied=True)
    assert 1e6 < matrix_rate(shape, "float32", 32) < 1e14
