"""Trajectories of every policy, sources included, on the test cases."""

from __future__ import annotations

from collections.abc import Mapping

from kedro.pipeline import Pipeline

from persistence_pipeline.pipelines.parts import Step, box, policy_parameter
from persistence_pipeline.pipelines.rollout.nodes import read_plain_text
from persistence_pipeline.pipelines.worlds import cases_of, world_of
from persistence_pipeline.study import Policy, StudyDesign

READING = Step("read_plain_text", read_plain_text, ("checkpoint", "params:rollout", "params:policy"), "plain_text")


def create_pipeline(policies: Mapping[str, Policy], design: StudyDesign) -> Pipeline:
    """One rollout per policy; of those that go back to a pretrained model, what they make of plain text too."""
    parts = []
    for name, policy in policies.items():
        inputs = {"checkpoint": f"{policy.checkpoint}.checkpoint", "cases": cases_of(design, policy.seed)}
        steps = [world_of(design).play.node()]
        if policies[policy.origin].pretrained:
            steps.append(READING.node())
        parts.append(box(name, steps, inputs, policy_parameter(name)))
    return Pipeline(parts, tags="rollout")
