"""Checkpoints with their cards, pairs as datasets, trajectories as Inspect logs: to hand to others.

Not part of ``kedro run``: it copies what is there. A checkpoint's own directory stays as the stage left it, so
that a card, which knows the scores, never changes what later stages are trained from.
"""

from __future__ import annotations

from collections.abc import Mapping

from kedro.pipeline import Pipeline, node

from persistence_pipeline.pipelines import grid
from persistence_pipeline.pipelines.export import nodes
from persistence_pipeline.study import Cell


def create_pipeline(cells: Mapping[str, Cell] | None = None) -> Pipeline:
    """The exports of these cells, of their sources and of their pairs."""
    cells = grid.active_cells() if cells is None else cells
    arms = grid.arms(cells)
    sources = sorted({source for source, _ in arms.values()})
    parts = [_checkpoint(name) for name in (*sources, *cells)]
    parts += [_trajectories(name) for name in (*arms, *cells)]
    parts += [_pairs(arm, grid.objectives(cells)) for arm in arms]
    return Pipeline(parts, tags="export")


def _checkpoint(name: str) -> Pipeline:
    inputs = ["checkpoint", "cards", "params:scratch"]
    return Pipeline(
        [node(nodes.export_checkpoint, inputs, "exported_checkpoint", name="export_checkpoint")],
        namespace=name,
        inputs={"checkpoint": f"{name}.checkpoint", "cards": "study.cards"},
        parameters={"params:scratch": "params:scratch"},
        tags="checkpoints",
    )


def _trajectories(name: str) -> Pipeline:
    step = node(nodes.export_trajectories, ["trajectories", "scores"], "inspect_log", name="export_trajectories")
    inputs = {"trajectories": f"{name}.trajectories", "scores": f"{name}.scores"}
    return Pipeline([step], namespace=name, inputs=inputs, tags="inspect")


def _pairs(arm: str, objectives: list[str]) -> Pipeline:
    steps = [
        node(nodes.export_pairs, f"pairs_{name}", f"exported_pairs_{name}", name=f"export_pairs_{name}")
        for name in objectives
    ]
    inputs = {f"pairs_{name}": f"{arm}.pairs_{name}" for name in objectives}
    return Pipeline(steps, namespace=arm, inputs=inputs, tags="pairs")
