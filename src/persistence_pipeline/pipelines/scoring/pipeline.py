"""Grades of every test trajectory: by the state of the tool world, or by judges where a model plays the tools."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from kedro.pipeline import Node, Pipeline, node

from persistence_pipeline.pipelines import grid
from persistence_pipeline.pipelines.emulation import nodes as emulated
from persistence_pipeline.pipelines.scoring import nodes
from persistence_pipeline.study import Cell

JUDGES = ("params:judging", "params:emulation")


def create_pipeline(cells: Mapping[str, Cell] | None = None) -> Pipeline:
    """One table per cell, and one per arm for the source itself."""
    cells = grid.active_cells() if cells is None else cells
    parts = []
    judged = grid.active_design().emulated
    for arm, (_, seed) in grid.arms(cells).items():
        grading = _judging(emulated.judge_source) if judged else _grading(nodes.score_source)
        parts.append(_graded(grading, arm, seed, f"params:arms.{arm}"))
    for name, cell in cells.items():
        grading = _judging(emulated.judge_cell) if judged else _grading(nodes.score_cell)
        parts.append(_graded(grading, name, cell.seed, f"params:cells.{name}"))
    return Pipeline(parts, tags="scoring")


def _grading(grade: Callable[..., Any]) -> Node:
    return node(grade, ["cases", "trajectories", "params:player"], "scores", name=grade.__name__)


def _judging(judge: Callable[..., Any]) -> Node:
    inputs = ["cases", "trajectories", *JUDGES, "params:player"]
    return node(judge, inputs, ["judgements", "scores"], name=judge.__name__)


def _graded(grading: Node, name: str, seed: int, player: str) -> Pipeline:
    return Pipeline(
        [grading],
        namespace=name,
        inputs={"cases": grid.cases_of(seed), "trajectories": f"{name}.trajectories"},
        parameters={
            **{name: name for name in JUDGES if name in grading.inputs},
            "params:player": player,
        },
    )
