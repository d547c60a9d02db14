"""The nodes that estimate; they ask no server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd

from persistence_pipeline.analysis.planning import COLUMNS, PlanningError, plan_rows

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


def plan_seeds(plan: PlanSettings) -> pd.DataFrame:
    """Seeds and cases that the questions of ``plan`` need, from its pilot; printed. Empty without a pilot."""
    from persistence_pipeline.report.kit.tables import make_table, rich_table, table_console
    from persistence_pipeline.strict import SettingError

    if plan.pilot is None:
        return pd.DataFrame(columns=list(COLUMNS))
    try:
        summary = json.loads(Path(plan.pilot).read_text("utf-8"))
        rows = plan_rows(summary, plan.order_effect, plan.persistence_difference, plan.power)
    except (OSError, ValueError, KeyError) as error:
        kind = "no summary.json of a study: " if not isinstance(error, PlanningError) else ""
        raise SettingError(("plan", "pilot"), f"{plan.pilot}: {kind}{error}") from None
    console = table_console()
    formats = {
        "spread": ".3f",
        "effect": ".2f",
        "seen_with_the_pilots_seeds": ".3f",
        "seeds": "d",
        "seeds_to_exclude": "d",
    }
    columns = [(name, name.replace("_", "\n"), formats.get(name, str)) for name in COLUMNS]
    title = f"Chains (seeds) for a power of {plan.power:g}, from {plan.pilot}"
    console.print(rich_table(title, make_table(rows, columns), console.width, left=("what", "of")))
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype({"seeds": "Int64", "seeds_to_exclude": "Int64"})
