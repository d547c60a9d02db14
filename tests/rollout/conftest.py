"""What the servers of these tests play."""

from __future__ import annotations

import pytest

from persistence_pipeline.records import Trajectory
from persistence_pipeline.rollout.episode import Episode
from persistence_pipeline.rollout.scripted import ScriptedPolicy


@pytest.fixture(scope="session")
def scripted() -> dict[str, Trajectory]:
    """What a careful agent does, by instruction."""
    from tests.rollout.test_served import CASES

    episodes = [Episode(case, policy="careful", seed=0) for case in CASES]
    return {e.case.instruction: e.trajectory() for e in ScriptedPolicy("careful").play(episodes)}
