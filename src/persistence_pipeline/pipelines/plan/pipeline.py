"""What a study will take and what it could see, before it is run."""

from __future__ import annotations

from collections.abc import Mapping

from kedro.pipeline import Pipeline, node

from persistence_pipeline.pipelines.parts import box
from persistence_pipeline.pipelines.plan import nodes
from persistence_pipeline.study import Policy, StudyDesign

GROUPS = (
    *("world", "candidates", "rollout", "judging", "emulation", "analysis", "plan", "training"),
    *("sources", "scratch", "policies", "study"),
)


def create_pipeline(policies: Mapping[str, Policy], design: StudyDesign) -> Pipeline:
    """One node; it needs no data but, where ``plan.pilot`` names one, a pilot's scores."""
    planning = node(nodes.plan_study, [f"params:{name}" for name in GROUPS], "table", name="plan_study")
    return box("plan", [planning], tags="plan")
