"""Aggregation, frontier fit, persistence, audits."""

from __future__ import annotations

from collections.abc import Mapping

from kedro.pipeline import Pipeline, node

from persistence_pipeline.pipelines import grid
from persistence_pipeline.pipelines.frontier import nodes
from persistence_pipeline.study import Cell


def create_pipeline(cells: Mapping[str, Cell] | None = None) -> Pipeline:
    """The analysis of the scores of these cells and of their sources."""
    cells = grid.active_cells() if cells is None else cells
    arms = grid.arms(cells)
    players = [*arms, *cells]
    seeds = sorted({seed for _, seed in arms.values()})
    collect = node(
        nodes.collect_scores, [f"score_{i}" for i in range(len(players))], "scores", name="collect_scores"
    )
    cases = {} if grid.active_design().emulated else {f"cases_{seed}": grid.cases_of(seed) for seed in seeds}
    find = nodes.find_attainable if cases else nodes.no_attainable
    attainable = node(find, ["params:analysis", *cases], "attainable", name="find_attainable")
    gather = Pipeline(
        [collect, attainable],
        namespace="study",
        inputs={
            **{f"score_{i}": f"{player}.scores" for i, player in enumerate(players)},
            **cases,
        },
        parameters={"params:analysis": "params:analysis"},
    )
    analyse = Pipeline(
        [
            node(nodes.summarise_grid, "scores", "grid", name="summarise_grid"),
            node(nodes.analyse, ["scores", "grid", "attainable", "params:analysis"], "analysis", name="analyse"),
        ],
        namespace="study",
        parameters={"params:analysis": "params:analysis"},
    )
    measure = node(nodes.measure, "analysis", ["metrics", "points"], name="measure")
    parts = [Pipeline([gather, analyse], tags="analysis"), Pipeline([measure], namespace="study", tags="metrics")]
    return Pipeline(parts, tags="frontier")
