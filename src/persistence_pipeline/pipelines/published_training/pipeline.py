"""From a clone of the published repository to checkpoints: its pairs in place of pairs from rollouts.

What the checkpoints do is then measured as in any study: on the tool world (``rollout`` and what follows it), or
on ToolEmu's cases (``emulation``).
"""

from __future__ import annotations

from collections.abc import Mapping

from kedro.pipeline import Pipeline, node

from persistence_pipeline.pipelines import published, synthesis, training
from persistence_pipeline.pipelines.parts import box, policy_parameter
from persistence_pipeline.pipelines.published_training import nodes
from persistence_pipeline.records import OBJECTIVES
from persistence_pipeline.study import Policy, StudyDesign
from persistence_pipeline.study import policies as of

TABLES = ("pair_table", "pool_scores", "conversations", "toolkits")


def create_pipeline(policies: Mapping[str, Policy], design: StudyDesign) -> Pipeline:
    """The published tables, the sources and cases of these policies, the pairs on each seed, and the stages."""
    imported = published.create_pipeline(policies, design).to_outputs(*(f"published.{name}" for name in TABLES))
    made = synthesis.origins(policies, design)
    taken = [_pairs(name) for name in of.sources(policies)]
    stages = training.create_pipeline(policies, design)
    return Pipeline([imported, made, *taken, stages], tags="published_training")


def _pairs(source: str) -> Pipeline:
    taking = node(
        nodes.take_pairs,
        [*TABLES, "params:published", "params:published_training", "params:policy"],
        [*(f"pairs_{objective}" for objective in OBJECTIVES), "pair_audit", "validation_report"],
        name="take_published_pairs",
    )
    return box(source, [taking], {name: f"published.{name}" for name in TABLES}, policy_parameter(source))
