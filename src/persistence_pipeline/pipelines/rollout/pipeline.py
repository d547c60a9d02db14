"""Trajectories of every checkpoint, and of the sources, on the test cases."""

from __future__ import annotations

from collections.abc import Mapping

from kedro.pipeline import Pipeline, node

from persistence_pipeline.pipelines import grid
from persistence_pipeline.pipelines.rollout import nodes
from persistence_pipeline.study import Cell, seed_name

OUTPUTS = ["trajectories", "trajectory_table"]


def create_pipeline(cells: Mapping[str, Cell] | None = None) -> Pipeline:
    """One rollout per cell, and one per arm for the source itself."""
    cells = grid.active_cells() if cells is None else cells
    parts = [_source(arm, source, seed) for arm, (source, seed) in grid.arms(cells).items()]
    parts += [_cell(name, cell) for name, cell in cells.items()]
    return Pipeline(parts, tags="rollout")


def _cell(name: str, cell: Cell) -> Pipeline:
    inputs = ["checkpoint", "cases", "params:rollout", "params:cell"]
    return Pipeline(
        [node(nodes.roll_out_cell, inputs, OUTPUTS, name="roll_out_cell")],
        namespace=name,
        inputs={"checkpoint": f"{name}.checkpoint", "cases": f"{seed_name(cell.seed)}.cases"},
        parameters={"params:rollout": "params:rollout", "params:cell": f"params:cells.{name}"},
    )


def _source(arm: str, source: str, seed: int) -> Pipeline:
    inputs = ["checkpoint", "cases", "params:rollout", "params:arm"]
    return Pipeline(
        [node(nodes.roll_out_source, inputs, OUTPUTS, name="roll_out_source")],
        namespace=arm,
        inputs={"checkpoint": f"{source}.checkpoint", "cases": f"{seed_name(seed)}.cases"},
        parameters={"params:rollout": "params:rollout", "params:arm": f"params:arms.{arm}"},
    )
