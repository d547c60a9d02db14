"""From files of preference pairs to checkpoints: the user's pairs in place of pairs from candidates."""

from __future__ import annotations

from collections.abc import Mapping

from kedro.pipeline import Pipeline, node

from persistence_pipeline.pipelines import grid, synthesis, training
from persistence_pipeline.pipelines.own_pairs import nodes
from persistence_pipeline.study import Cell, StudyError

STUDY = "params:study"


def create_pipeline(cells: Mapping[str, Cell] | None = None) -> Pipeline:
    """The sources and cases of these cells, each arm's pairs, and the stages; empty in a study of another kind.

    Raises:
        StudyError: no file is named for an objective that cells are trained on.
    """
    cells = grid.active_cells() if cells is None else cells
    arms = grid.arms(cells)
    if grid.active_design().pairs != "own":
        return Pipeline([])
    named = grid.active_design().own_pairs
    for objective in grid.objectives(cells):
        if objective not in named:
            raise StudyError(
                f"parameter study.own_pairs.{objective}: expected the path of a file of pairs, for cells are "
                f"trained on {objective}; files are named for {', '.join(named) or 'no objective'}"
            )
    made = synthesis.origins(cells)
    taken = [_arm(arm, list(named)) for arm in arms]
    return Pipeline([made, *taken, training.create_pipeline(cells)], tags="own_pairs")


def _arm(arm: str, objectives: list[str]) -> Pipeline:
    outputs = [*(f"pairs_{objective}" for objective in objectives), "pair_audit", "validation_report"]
    taking = node(nodes.take_own_pairs, STUDY, {name: name for name in outputs}, name="take_own_pairs")
    return Pipeline([taking], namespace=arm, parameters={STUDY: STUDY})
