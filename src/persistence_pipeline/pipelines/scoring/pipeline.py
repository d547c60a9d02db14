"""Grades of every test trajectory."""

from __future__ import annotations

from collections.abc import Mapping

from kedro.pipeline import Node, Pipeline, node

from persistence_pipeline.pipelines import grid
from persistence_pipeline.pipelines.scoring import nodes
from persistence_pipeline.study import Cell, seed_name


def create_pipeline(cells: Mapping[str, Cell] | None = None) -> Pipeline:
    """One table per cell, and one per arm for the source itself."""
    cells = grid.active_cells() if cells is None else cells
    parts = []
    for arm, (_, seed) in grid.arms(cells).items():
        grading = node(
            nodes.score_source, ["cases", "trajectories", "params:player"], "scores", name="score_source"
        )
        parts.append(_graded(grading, arm, seed, f"params:arms.{arm}"))
    for name, cell in cells.items():
        grading = node(nodes.score_cell, ["cases", "trajectories", "params:player"], "scores", name="score_cell")
        parts.append(_graded(grading, name, cell.seed, f"params:cells.{name}"))
    return Pipeline(parts, tags="scoring")


def _graded(grading: Node, name: str, seed: int, player: str) -> Pipeline:
    return Pipeline(
        [grading],
        namespace=name,
        inputs={"cases": f"{seed_name(seed)}.cases", "trajectories": f"{name}.trajectories"},
        parameters={"params:player": player},
    )
