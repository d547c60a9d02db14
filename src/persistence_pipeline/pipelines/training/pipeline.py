"""Staged DPO: one checkpoint per cell."""

from __future__ import annotations

from collections.abc import Mapping

from kedro.pipeline import Pipeline, node

from persistence_pipeline.pipelines import grid
from persistence_pipeline.pipelines.training import nodes
from persistence_pipeline.study import Cell


def create_pipeline(cells: Mapping[str, Cell] | None = None) -> Pipeline:
    """One stage per cell, each from its parent's checkpoint."""
    cells = grid.active_cells() if cells is None else cells
    return Pipeline([_stage(name, cell) for name, cell in cells.items()], tags="training")


def _stage(name: str, cell: Cell) -> Pipeline:
    stage = node(
        nodes.train_cell,
        ["pairs", "parent", "source", "params:training", "params:cell", "params:scratch", "validation_report"],
        ["checkpoint", "training_log", "training_report"],
        name="train_cell",
    )
    return Pipeline(
        [stage],
        namespace=name,
        inputs={
            "pairs": f"{cell.arm}.pairs_{cell.objective}",
            "parent": f"{cell.parent or cell.source}.checkpoint",
            "source": f"{cell.source}.checkpoint",
            "validation_report": f"{cell.arm}.validation_report",
        },
        parameters={
            "params:training": f"params:training.{cell.objective}",
            "params:cell": f"params:cells.{name}",
            "params:scratch": "params:scratch",
        },
    )
