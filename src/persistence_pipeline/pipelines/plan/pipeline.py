"""What a study will ask of servers, before it asks."""

from __future__ import annotations

from kedro.pipeline import Pipeline, node

from persistence_pipeline.pipelines.plan import nodes

PARAMETERS = [
    f"params:{name}"
    for name in ("world", "candidates", "rollout", "judging", "emulation", "plan", "cells", "study")
]


def create_pipeline() -> Pipeline:
    """One node; it needs no data."""
    estimating = node(nodes.estimate_cost, PARAMETERS, "estimate", name="estimate_cost")
    return Pipeline([estimating], namespace="plan", parameters={name: name for name in PARAMETERS}, tags="plan")
