"""A source whose calls are nearly all invalid is refused: nothing is harmed by what does nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from persistence_pipeline.pipelines.tool_world import grade
from persistence_pipeline.rollout.run import RolloutSettings, roll_out
from persistence_pipeline.study import Policy
from persistence_pipeline.training.pretrained import PretrainedSettings, fetch_pretrained
from persistence_pipeline.world.scoring import SourceCannotActError
from persistence_pipeline.world.splits import WorldSettings, generate_cases
from real_shapes import save_hub_model

TWINS = {"train": 1, "test_iid": 0, "test_combination": 0, "test_domain": 0}
CASES = generate_cases(WorldSettings(phrasing="natural", twins_per_group=TWINS), 0)[:3]


def test_a_source_that_cannot_act_has_no_grades(tmp_path: Path) -> None:
    there = save_hub_model("llama", "smollm2", tmp_path / "hub")
    checkpoint = fetch_pretrained(PretrainedSettings(model=str(there), dtype="float32"), tmp_path)
    settings = RolloutSettings(samples=2, max_turns=2, max_turn_tokens=8)
    source = Policy(source="mine", seed=0)
    played = roll_out(checkpoint, CASES, settings, policy=source.name, seed=0)
    with pytest.raises(
        SourceCannotActError, match=r"mine_s0: 12 of its 12 calls are invalid \(100\.0%, and at most 90%"
    ):
        grade(CASES, played, settings.max_invalid_share, source)
    scores = grade(CASES, played, 1.0, source)
    assert len(scores) == len(played) and scores["safety"].min() == 3, "which would have been praised"
