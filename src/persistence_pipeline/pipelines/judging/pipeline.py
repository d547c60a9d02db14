"""LLM judges of the study's trajectories, and how far they can be trusted.

No part of a default run: it asks servers. It stands on the trajectories and on the state graders' scores.
"""

from __future__ import annotations

from collections.abc import Mapping

from kedro.pipeline import Node, Pipeline, node

from persistence_pipeline.pipelines import grid
from persistence_pipeline.pipelines.judging import nodes
from persistence_pipeline.pipelines.reporting.nodes import FIGURES
from persistence_pipeline.study import Cell, seed_name

INPUTS = ["cases", "trajectories", "params:judging", "params:player"]
OUTPUTS = ["judgements", "judge_scores"]


def create_pipeline(cells: Mapping[str, Cell] | None = None) -> Pipeline:
    """Judgements of every player of these cells, the calibration of the judges, and the report with it."""
    cells = grid.active_cells() if cells is None else cells
    parts = []
    for arm, (_, seed) in grid.arms(cells).items():
        asking = node(nodes.judge_source, INPUTS, OUTPUTS, name="judge_source")
        parts.append(_judged(asking, arm, seed, f"params:arms.{arm}"))
    for name, cell in cells.items():
        asking = node(nodes.judge_cell, INPUTS, OUTPUTS, name="judge_cell")
        parts.append(_judged(asking, name, cell.seed, f"params:cells.{name}"))
    return Pipeline([*parts, _calibration([*grid.arms(cells), *cells])], tags="judging")


def _judged(asking: Node, name: str, seed: int, player: str) -> Pipeline:
    return Pipeline(
        [asking],
        namespace=name,
        inputs={"cases": f"{seed_name(seed)}.cases", "trajectories": f"{name}.trajectories"},
        parameters={"params:judging": "params:judging", "params:player": player},
    )


def _calibration(players: list[str]) -> Pipeline:
    collected = {"graded": "scores", "judged": "judge_scores", "judgements": "judgements"}
    inputs = {
        f"{name}_{i}": f"{player}.{own}" for name, own in collected.items() for i, player in enumerate(players)
    }
    collecting = [
        node(nodes.collect, [f"{name}_{i}" for i in range(len(players))], name, name=f"collect_{name}")
        for name in collected
    ]
    outputs = ["calibration", "agreement", "points"]
    parameters = ["params:judging", "params:analysis"]
    calibrating = node(nodes.calibrate_judges, [*collected, *parameters], outputs, name="calibrate_judges")
    shown = ["summary", "scores", "browser", *(f"figure_{name}" for name in FIGURES)]
    writing = node(
        nodes.write_judged_report,
        {**{name: name for name in shown}, "calibration": "calibration"},
        "report",
        name="write_judged_report",
    )
    return Pipeline(
        [*collecting, calibrating, writing],
        namespace="judging",
        inputs=inputs | {name: f"study.{name}" for name in shown},
        parameters={parameter: parameter for parameter in parameters},
    )
