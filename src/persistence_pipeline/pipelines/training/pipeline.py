"""Staged DPO: one checkpoint per trained policy."""

from __future__ import annotations

from collections.abc import Mapping

from kedro.pipeline import Pipeline, node

from persistence_pipeline.pipelines.parts import box, policy_parameter
from persistence_pipeline.pipelines.training import nodes
from persistence_pipeline.study import Policy, StudyDesign
from persistence_pipeline.study import policies as of


def create_pipeline(policies: Mapping[str, Policy], design: StudyDesign) -> Pipeline:
    """One stage per trained policy, each from its parent's checkpoint."""
    parts = [_stage(name, policies) for name in of.trained(policies)]
    return Pipeline(parts, tags="training")


def _stage(name: str, policies: Mapping[str, Policy]) -> Pipeline:
    policy = policies[name]
    training = node(
        nodes.train_cell,
        ["pairs", "parent", "source", "params:training", "params:policy", "params:scratch", "validation_report"],
        ["checkpoint", "training_log", "training_report"],
        name="train_cell",
    )
    inputs = {
        "pairs": f"{policy.origin}.pairs_{policy.objective}",
        "parent": f"{policies[str(policy.parent)].checkpoint}.checkpoint",
        "source": f"{policies[policy.origin].checkpoint}.checkpoint",
        "validation_report": f"{policy.origin}.validation_report",
    }
    of_objective = {"params:training": f"params:training.{policy.objective}"}
    return box(name, [training], inputs, {**of_objective, **policy_parameter(name)})
