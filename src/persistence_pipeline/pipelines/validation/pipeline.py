"""Cross-table checks that stop a study before anything is trained."""

from __future__ import annotations

from collections.abc import Mapping

from kedro.pipeline import Pipeline, node

from persistence_pipeline.pipelines import grid
from persistence_pipeline.pipelines.validation import nodes
from persistence_pipeline.study import Cell


def create_pipeline(cells: Mapping[str, Cell] | None = None) -> Pipeline:
    """One check per arm."""
    cells = grid.active_cells() if cells is None else cells
    parts = [_arm(arm, seed, grid.objectives(cells)) for arm, (_, seed) in grid.arms(cells).items()]
    return Pipeline(parts, tags="validation")


def _arm(arm: str, seed: int, objectives: list[str]) -> Pipeline:
    tables = ["candidate_table", "candidate_scores", *(f"pair_table_{objective}" for objective in objectives)]
    check = node(nodes.validate_arm, ["case_table", *tables], "validation_report", name="validate_arm")
    inputs = {"case_table": grid.case_table_of(seed), **{name: f"{arm}.{name}" for name in tables}}
    return Pipeline([check], namespace=arm, inputs=inputs)
