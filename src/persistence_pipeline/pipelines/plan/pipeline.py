"""An estimate of what a study will ask of servers, before it asks."""

from __future__ import annotations

from collections.abc import Mapping

from kedro.pipeline import Pipeline, node

from persistence_pipeline.pipelines.parts import box
from persistence_pipeline.pipelines.plan import nodes
from persistence_pipeline.study import Policy, StudyDesign

PARAMETERS = [
    f"params:{name}"
    for name in ("world", "candidates", "rollout", "judging", "emulation", "plan", "policies", "study")
]


def create_pipeline(policies: Mapping[str, Policy], design: StudyDesign) -> Pipeline:
    """What servers will be asked, and how many seeds a question needs; it needs no data but a pilot's summary."""
    estimating = node(nodes.estimate_cost, PARAMETERS, "estimate", name="estimate_cost")
    counting = node(nodes.plan_seeds, "params:plan", "seeds", name="plan_seeds")
    return box("plan", [estimating, counting], tags="plan")
