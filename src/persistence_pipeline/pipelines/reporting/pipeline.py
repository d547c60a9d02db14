"""Summary, figures and the HTML report."""

from __future__ import annotations

from collections.abc import Mapping

from kedro.pipeline import Pipeline, node

from persistence_pipeline.pipelines import grid
from persistence_pipeline.pipelines.reporting import nodes
from persistence_pipeline.study import Cell


def create_pipeline(cells: Mapping[str, Cell] | None = None) -> Pipeline:
    """The report of these cells."""
    cells = grid.active_cells() if cells is None else cells
    outside = {f"pair_audit__{arm}": f"{arm}.pair_audit" for arm in grid.arms(cells)}
    outside |= {f"training_report__{name}": f"{name}.training_report" for name in cells}
    inputs = {name: name for name in ("analysis", "scores", *outside)}
    summarise = node(nodes.summarise, {**inputs, "parameters": "parameters"}, "summary", name="summarise")
    own = {name: f"study.{name}" for name in ("analysis", "scores")}
    return Pipeline(
        [summarise],
        namespace="study",
        inputs={**own, **outside},
        parameters={"parameters": "parameters"},
        tags="reporting",
    )
