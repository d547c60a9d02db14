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
    """One node; it needs no data."""
    estimating = node(nodes.estimate_cost, PARAMETERS, "estimate", name="estimate_cost")
    return box("plan", [estimating], tags="plan")
