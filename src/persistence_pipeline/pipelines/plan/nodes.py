"""The node that estimates; it asks no server."""

from __future__ import annotations

from typing import Any

import pandas as pd

from persistence_pipeline.judging.cost import PlanSettings, cost_table, estimate
from persistence_pipeline.judging.settings import JudgingSettings
from persistence_pipeline.rollout.run import CandidateSettings, RolloutSettings
from persistence_pipeline.study import StudyDesign, parse_policies
from persistence_pipeline.toolemu.settings import EmulationSettings
from persistence_pipeline.world.splits import WorldSettings


def estimate_cost(
    world: WorldSettings,
    candidates: CandidateSettings,
    rollout: RolloutSettings,
    judging: JudgingSettings,
    emulation: EmulationSettings,
    plan: PlanSettings,
    policies: dict[str, Any],
    design: StudyDesign,
) -> pd.DataFrame:
    """Requests, tokens, time and price of every part that asks a server; printed as a table."""
    from persistence_pipeline.report.kit.tables import table_console

    estimated = estimate(world, candidates, rollout, judging, emulation, plan, parse_policies(policies), design)
    console = table_console()
    console.print(cost_table(estimated, plan, console.width))
    return estimated
