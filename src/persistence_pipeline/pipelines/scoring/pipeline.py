"""Scores of every test trajectory: by the state of the tool world, or by judges where a model plays the tools."""

from __future__ import annotations

from collections.abc import Mapping

from kedro.pipeline import Pipeline

from persistence_pipeline.pipelines.parts import box, policy_parameter
from persistence_pipeline.pipelines.worlds import cases_of, world_of
from persistence_pipeline.study import Policy, StudyDesign


def create_pipeline(policies: Mapping[str, Policy], design: StudyDesign) -> Pipeline:
    """One table per policy."""
    parts = []
    for name, policy in policies.items():
        inputs = {"cases": cases_of(design, policy.seed), "trajectories": f"{name}.trajectories"}
        parts.append(box(name, [world_of(design).score.node()], inputs, policy_parameter(name)))
    return Pipeline(parts, tags="scoring")
