"""The study's checkpoints on cases in ToolEmu's format: emulated tools, scores by judges.

No part of a default run: it asks servers. It stands on the checkpoints of the study.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from kedro.pipeline import Pipeline, node

from persistence_pipeline.pipelines import grid
from persistence_pipeline.pipelines.emulation import nodes
from persistence_pipeline.study import Cell, seed_name

SETTINGS = "params:emulation"
SHARED = (SETTINGS, "params:judging", "params:rollout")


def create_pipeline(cells: Mapping[str, Cell] | None = None) -> Pipeline:
    """Emulated rollouts and judgements of every player of these cells, and their analysis."""
    cells = grid.active_cells() if cells is None else cells
    arms = grid.arms(cells)
    parts = [cases(seed) for seed in sorted({seed for _, seed in arms.values()})]
    for arm, (source, seed) in arms.items():
        parts.append(_player(arm, seed, source, f"params:arms.{arm}", nodes.play_source, nodes.judge_source))
    for name, cell in cells.items():
        parts.append(_player(name, cell.seed, name, f"params:cells.{name}", nodes.play_cell, nodes.judge_cell))
    return Pipeline([*parts, _analysis([*arms, *cells])], tags="emulation")


def cases(seed: int) -> Pipeline:
    """The cases of one seed, both halves."""
    name = seed_name(seed)
    read = ["emulated_cases", "emulated_case_table"]
    reading = node(nodes.read_emulated_cases, [SETTINGS, "params:case_set"], read, name="read_emulated_cases")
    parameters = {SETTINGS: SETTINGS, "params:case_set": f"params:seeds.{name}"}
    return Pipeline([reading], namespace=name, parameters=parameters)


def _player(
    name: str, seed: int, checkpoint: str, player: str, play: Callable[..., Any], judge: Callable[..., Any]
) -> Pipeline:
    playing = ["checkpoint", "cases", "params:rollout", SETTINGS, "params:player"]
    judging = ["cases", "emulated_trajectories", "params:judging", SETTINGS, "params:player"]
    judged = ["emulated_judgements", "emulated_scores"]
    return Pipeline(
        [
            node(play, playing, ["emulated_trajectories", "emulated_trajectory_table"], name="play_emulated"),
            node(judge, judging, judged, name="judge_emulated"),
        ],
        namespace=name,
        inputs={"checkpoint": f"{checkpoint}.checkpoint", "cases": f"{seed_name(seed)}.emulated_cases"},
        parameters={**{name: name for name in SHARED}, "params:player": player},
    )


def _analysis(players: list[str]) -> Pipeline:
    scores = {f"scores_{index}": f"{player}.emulated_scores" for index, player in enumerate(players)}
    analysing = node(nodes.analyse, ["params:judging", *scores], ["scores", "analysis"], name="analyse_emulated")
    parameters = {"params:judging": "params:judging"}
    return Pipeline([analysing], namespace="emulation", inputs=scores, parameters=parameters)
