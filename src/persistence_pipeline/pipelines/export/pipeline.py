"""Checkpoints with their cards, pairs as datasets, trajectories as Inspect logs: to hand to others.

Not part of ``kedro run``: it copies what is there. A checkpoint's own directory stays as the stage left it, so
that a card, which knows the scores, never changes what later stages are trained from.
"""

from __future__ import annotations

from collections.abc import Mapping

from kedro.pipeline import Pipeline, node

from persistence_pipeline.pipelines.export import nodes
from persistence_pipeline.pipelines.parts import box
from persistence_pipeline.study import Policy, StudyDesign
from persistence_pipeline.study import policies as of


def create_pipeline(policies: Mapping[str, Policy], design: StudyDesign) -> Pipeline:
    """The exports of these policies' checkpoints and trajectories, and of their pairs."""
    checkpoints = sorted({policy.checkpoint for policy in of.sources(policies).values()})
    parts = [_checkpoint(name) for name in (*checkpoints, *of.trained(policies))]
    parts += [_trajectories(name) for name in policies]
    parts += [_pairs(name, of.objectives(policies)) for name in of.sources(policies)]
    return Pipeline(parts, tags="export")


def _checkpoint(name: str) -> Pipeline:
    inputs = ["checkpoint", "cards", "params:scratch"]
    exporting = node(nodes.export_checkpoint, inputs, "exported_checkpoint", name="export_checkpoint")
    return box(name, [exporting], {"checkpoint": f"{name}.checkpoint", "cards": "study.cards"}, tags="checkpoints")


def _trajectories(name: str) -> Pipeline:
    step = node(nodes.export_trajectories, ["trajectories", "scores"], "inspect_log", name="export_trajectories")
    inputs = {"trajectories": f"{name}.trajectories", "scores": f"{name}.scores"}
    return box(name, [step], inputs, tags="inspect")


def _pairs(source: str, objectives: list[str]) -> Pipeline:
    steps = [
        node(nodes.export_pairs, f"pairs_{name}", f"exported_pairs_{name}", name=f"export_pairs_{name}")
        for name in objectives
    ]
    inputs = {f"pairs_{name}": f"{source}.pairs_{name}" for name in objectives}
    return box(source, steps, inputs, tags="pairs")
