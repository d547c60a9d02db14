"""The node that rolls a checkpoint out on the test cases."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from persistence_pipeline.records import Trajectory
from persistence_pipeline.rollout.run import RolloutSettings, roll_out
from persistence_pipeline.study import Arm, Cell
from persistence_pipeline.world.cases import Case
from persistence_pipeline.world.scoring import trajectory_table


def _roll_out_tests(
    checkpoint: Path, cases: Sequence[Case], settings: RolloutSettings, player: Cell | Arm
) -> tuple[list[Trajectory], pd.DataFrame]:
    """Let a checkpoint act on every test case of its seed."""
    tests = [case for case in cases if case.split != "train"]
    trajectories = roll_out(checkpoint, tests, settings, policy=player.name, seed=player.seed)
    return trajectories, trajectory_table(trajectories)


def roll_out_cell(
    checkpoint: Path, cases: Sequence[Case], settings: RolloutSettings, cell: Cell
) -> tuple[list[Trajectory], pd.DataFrame]:
    """Trajectories of a trained checkpoint, and their table."""
    return _roll_out_tests(checkpoint, cases, settings, cell)


def roll_out_source(
    checkpoint: Path, cases: Sequence[Case], settings: RolloutSettings, arm: Arm
) -> tuple[list[Trajectory], pd.DataFrame]:
    """Trajectories of the source before any stage, and their table."""
    return _roll_out_tests(checkpoint, cases, settings, arm)
