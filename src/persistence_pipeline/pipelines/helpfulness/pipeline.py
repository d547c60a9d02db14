"""One stage on helpfulness."""

from __future__ import annotations

from kedro.pipeline import Pipeline

from persistence_pipeline.pipelines import compose, grid


def create_pipeline() -> Pipeline:
    """The study of these orderings, from cases to the report."""
    return compose.study(grid.select(grid.active_cells(), lambda cell: cell.ordering == "helpfulness"))
