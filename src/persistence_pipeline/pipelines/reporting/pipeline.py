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
    audits = {f"pair_audit__{arm}": f"{arm}.pair_audit" for arm in grid.arms(cells)}
    audits |= {f"training_report__{name}": f"{name}.training_report" for name in cells}
    logs = {f"training_log__{name}": f"{name}.training_log" for name in cells}
    figures = [f"figure_{name}" for name in nodes.FIGURES]
    steps = [
        node(
            nodes.summarise,
            {**_same("analysis", "scores", *audits), "parameters": "parameters"},
            "summary",
            name="summarise",
        ),
        node(nodes.draw_figures, _same("summary", "scores", *logs), figures, name="draw_figures"),
        node(nodes.write_report, _same("summary", *figures), "report", name="write_report"),
    ]
    own = {name: f"study.{name}" for name in ("analysis", "scores")}
    return Pipeline(
        steps,
        namespace="study",
        inputs={**own, **audits, **logs},
        parameters={"parameters": "parameters"},
        tags="reporting",
    )


def _same(*names: str) -> dict[str, str]:
    """Datasets handed to arguments of the same name."""
    return {name: name for name in names}
