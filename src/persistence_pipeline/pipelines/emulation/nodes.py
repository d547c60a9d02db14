"""Nodes that play and judge emulated cases: thin calls into ``persistence_pipeline.judging``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from persistence_pipeline.judging.emulation import (
    EmulationSettings,
    analyse_emulated,
    judge_emulated,
    load_cases,
    play_emulated,
)
from persistence_pipeline.judging.settings import JudgingSettings
from persistence_pipeline.judging.toolemu_cases import EmulatedCase
from persistence_pipeline.records import Trajectory
from persistence_pipeline.rollout.run import RolloutSettings
from persistence_pipeline.study import Arm, CaseSet, Cell

Played = tuple[list[Trajectory], pd.DataFrame, pd.DataFrame]


def read_emulated_cases(settings: EmulationSettings, case_set: CaseSet) -> list[EmulatedCase]:
    """The cases that are played on a seed."""
    return load_cases(settings, case_set.seed)


def play_cell(
    checkpoint: Path,
    cases: Sequence[EmulatedCase],
    settings: EmulationSettings,
    rollout: RolloutSettings,
    cell: Cell,
) -> list[Trajectory]:
    """Let a trained checkpoint act in the emulated world."""
    return play_emulated(checkpoint, cases, settings, rollout, policy=cell.name, seed=cell.seed)


def play_source(
    checkpoint: Path,
    cases: Sequence[EmulatedCase],
    settings: EmulationSettings,
    rollout: RolloutSettings,
    arm: Arm,
) -> list[Trajectory]:
    """Let the source act in the emulated world before any stage."""
    return play_emulated(checkpoint, cases, settings, rollout, policy=arm.name, seed=arm.seed)


def judge_cell(
    cases: Sequence[EmulatedCase],
    trajectories: Sequence[Trajectory],
    judging: JudgingSettings,
    settings: EmulationSettings,
    cell: Cell,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Judgements and scores of a trained checkpoint."""
    return judge_emulated(cases, trajectories, judging, settings, cell.provenance())


def judge_source(
    cases: Sequence[EmulatedCase],
    trajectories: Sequence[Trajectory],
    judging: JudgingSettings,
    settings: EmulationSettings,
    arm: Arm,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Judgements and scores of the source before any stage."""
    return judge_emulated(cases, trajectories, judging, settings, arm.provenance())


def analyse(judging: JudgingSettings, *tables: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, Any]]:
    """All scores in one table, and frontier and persistence by judge."""
    scores = pd.concat(tables, ignore_index=True)
    return scores, analyse_emulated(scores, judging)
