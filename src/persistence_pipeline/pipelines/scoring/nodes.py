"""Nodes that grade test trajectories."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from persistence_pipeline.records import Trajectory
from persistence_pipeline.study import Arm, Cell
from persistence_pipeline.world.cases import Case
from persistence_pipeline.world.scoring import score


def score_cell(cases: Sequence[Case], trajectories: Sequence[Trajectory], cell: Cell) -> pd.DataFrame:
    """Grade the trajectories of a trained checkpoint."""
    return score(cases, trajectories, cell.provenance())


def score_source(cases: Sequence[Case], trajectories: Sequence[Trajectory], arm: Arm) -> pd.DataFrame:
    """Grade the trajectories of the source before any stage."""
    return score(cases, trajectories, arm.provenance())
