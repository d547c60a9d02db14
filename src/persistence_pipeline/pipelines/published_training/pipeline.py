"""From a clone of the published repository to checkpoints: its pairs in place of pairs from rollouts.

What the checkpoints do is then measured as in any study: on the tool world (``rollout`` and what follows it), or
on ToolEmu's cases (``emulation``).
"""

from __future__ import annotations

from collections.abc import Mapping

from kedro.pipeline import Pipeline, node

from persistence_pipeline.pipelines import grid, published, synthesis, training
from persistence_pipeline.pipelines.published_training import nodes
from persistence_pipeline.records import OBJECTIVES
from persistence_pipeline.study import Cell

TABLES = ("pair_table", "pool_scores", "conversations", "toolkits")
SHARED = ("params:published", "params:published_training")


def create_pipeline(cells: Mapping[str, Cell] | None = None) -> Pipeline:
    """The published tables, the sources and cases of these cells, each arm's pairs, and the stages."""
    cells = grid.active_cells() if cells is None else cells
    arms = grid.arms(cells)
    imported = published.create_pipeline().to_outputs(*(f"published.{name}" for name in TABLES))
    made = synthesis.origins(cells)
    taken = [_arm(arm) for arm in arms]
    return Pipeline([imported, made, *taken, training.create_pipeline(cells)], tags="published_training")


def _arm(arm: str) -> Pipeline:
    taking = node(
        nodes.take_pairs,
        [*TABLES, *SHARED, "params:arm"],
        [*(f"pairs_{objective}" for objective in OBJECTIVES), "pair_audit", "validation_report"],
        name="take_published_pairs",
    )
    return Pipeline(
        [taking],
        namespace=arm,
        inputs={name: f"published.{name}" for name in TABLES},
        parameters={**{name: name for name in SHARED}, "params:arm": f"params:arms.{arm}"},
    )
