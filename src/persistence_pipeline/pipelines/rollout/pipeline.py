"""Trajectories of every policy, sources included, on the test cases."""

from __future__ import annotations

from collections.abc import Mapping

from kedro.pipeline import Pipeline

from persistence_pipeline.pipelines.parts import box, policy_parameter
from persistence_pipeline.pipelines.worlds import cases_of, world_of
from persistence_pipeline.study import Policy, StudyDesign


def create_pipeline(policies: Mapping[str, Policy], design: StudyDesign) -> Pipeline:
    """One rollout per policy."""
    parts = []
    for name, policy in policies.items():
        inputs = {"checkpoint": f"{policy.checkpoint}.checkpoint", "cases": cases_of(design, policy.seed)}
        parts.append(box(name, [world_of(design).play.node()], inputs, policy_parameter(name)))
    return Pipeline(parts, tags="rollout")
