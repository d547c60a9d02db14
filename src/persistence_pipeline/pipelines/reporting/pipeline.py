"""Summary, figures and the HTML report."""

from __future__ import annotations

from collections.abc import Mapping

from kedro.pipeline import Pipeline, node

from persistence_pipeline.pipelines import grid
from persistence_pipeline.pipelines.emulation import nodes as emulated
from persistence_pipeline.pipelines.reporting import nodes
from persistence_pipeline.study import Cell, seed_name


def create_pipeline(cells: Mapping[str, Cell] | None = None) -> Pipeline:
    """The report of these cells."""
    cells = grid.active_cells() if cells is None else cells
    arms = grid.arms(cells)
    audits = {f"pair_audit__{arm}": f"{arm}.pair_audit" for arm in arms}
    audits |= {f"training_report__{name}": f"{name}.training_report" for name in cells}
    logs = {f"training_log__{name}": f"{name}.training_log" for name in cells}
    episodes = {f"trajectories__{name}": f"{name}.trajectories" for name in (*arms, *cells)}
    episodes |= {
        f"cases__{seed_name(seed)}": grid.cases_of(seed) for seed in sorted({seed for _, seed in arms.values()})
    }
    figures = [f"figure_{name}" for name in nodes.FIGURES]
    steps = [
        node(
            nodes.summarise,
            {**_same("analysis", "scores", *audits), "parameters": "parameters"},
            "summary",
            name="summarise",
        ),
        node(nodes.draw_figures, _same("summary", "scores", *logs), figures, name="draw_figures"),
        node(
            emulated.show_trajectories if grid.active_design().emulated else nodes.collect_trajectories,
            {**_same("scores", *episodes), "settings": "params:report"},
            "browser",
            name="collect_trajectories",
        ),
        node(nodes.write_report, _same("summary", "scores", "browser", *figures), "report", name="write_report"),
        node(nodes.write_cards, "summary", "cards", name="write_cards"),
    ]
    own = {name: f"study.{name}" for name in ("analysis", "scores")}
    return Pipeline(
        steps,
        namespace="study",
        inputs={**own, **audits, **logs, **episodes},
        parameters={"parameters": "parameters", "params:report": "params:report"},
        tags="reporting",
    )


def _same(*names: str) -> dict[str, str]:
    """Datasets handed to arguments of the same name."""
    return {name: name for name in names}
