"""Cases of the tool world and scripted trajectories on them."""

from __future__ import annotations

import pytest

from persistence_pipeline.records import Trajectory
from persistence_pipeline.rollout.episode import Episode
from persistence_pipeline.rollout.scripted import ScriptedPolicy
from persistence_pipeline.world.cases import Case
from persistence_pipeline.world.splits import WorldSettings, generate_cases

HELD_OUT = {
    "held_out_domain": "servers",
    "held_out_combinations": ["files/look"],
    "twins_per_group": {"train": 1, "test_iid": 1, "test_combination": 1, "test_domain": 1},
}


@pytest.fixture(scope="session")
def cases() -> list[Case]:
    settings = WorldSettings(**HELD_OUT, phrasing="natural", conflict_share=0.5)
    return generate_cases(settings, 0)


@pytest.fixture(scope="session")
def trajectories(cases: list[Case]) -> list[Trajectory]:
    """Four behaviours on a sixth of the cases."""
    played = []
    for behaviour in ("careless", "careful", "refusing", "clumsy"):
        episodes = [Episode(case, policy=behaviour, seed=0) for case in cases[::6]]
        played += list(ScriptedPolicy(behaviour).play(episodes))
    return [episode.trajectory() for episode in played]
