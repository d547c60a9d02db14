"""Trajectories of every checkpoint, and of the sources, on the test cases."""

from __future__ import annotations

from collections.abc import Mapping

from kedro.pipeline import Node, Pipeline, node

from persistence_pipeline.pipelines import grid
from persistence_pipeline.pipelines.emulation import nodes as emulated
from persistence_pipeline.pipelines.rollout import nodes
from persistence_pipeline.study import Cell

OUTPUTS = ["trajectories", "trajectory_table"]


def create_pipeline(cells: Mapping[str, Cell] | None = None) -> Pipeline:
    """One rollout per cell, and one per arm for the source itself."""
    cells = grid.active_cells() if cells is None else cells
    parts = [_source(arm, source, seed) for arm, (source, seed) in grid.arms(cells).items()]
    parts += [_cell(name, cell) for name, cell in cells.items()]
    return Pipeline(parts, tags="rollout")


def _cell(name: str, cell: Cell) -> Pipeline:
    play = emulated.play_cell if grid.active_design().emulated else nodes.roll_out_cell
    playing = node(play, _inputs("params:cell"), OUTPUTS, name="roll_out_cell")
    return _played(playing, name, name, cell.seed, {"params:cell": f"params:cells.{name}"})


def _source(arm: str, source: str, seed: int) -> Pipeline:
    play = emulated.play_source if grid.active_design().emulated else nodes.roll_out_source
    playing = node(play, _inputs("params:arm"), OUTPUTS, name="roll_out_source")
    return _played(playing, arm, source, seed, {"params:arm": f"params:arms.{arm}"})


def _settings() -> list[str]:
    return ["params:rollout", *(["params:emulation"] if grid.active_design().emulated else [])]


def _inputs(player: str) -> list[str]:
    return ["checkpoint", "cases", *_settings(), player]


def _played(playing: Node, name: str, checkpoint: str, seed: int, player: dict[str, str]) -> Pipeline:
    return Pipeline(
        [playing],
        namespace=name,
        inputs={"checkpoint": f"{checkpoint}.checkpoint", "cases": grid.cases_of(seed)},
        parameters={**{name: name for name in _settings()}, **player},
    )
