"""Nodes on cases in ToolEmu's format: thin calls into ``persistence_pipeline.judging``.

A study on such cases has them in the places of those that play and grade the tool world.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from persistence_pipeline.judging.emulated_analysis import analyse_emulated
from persistence_pipeline.judging.emulated_scores import judge_emulated
from persistence_pipeline.judging.settings import JudgingSettings
from persistence_pipeline.records import Trajectory
from persistence_pipeline.report.browser import ReportSettings, browser_data
from persistence_pipeline.rollout.run import CandidateSettings, RolloutSettings
from persistence_pipeline.study import Arm, CaseSet, Cell
from persistence_pipeline.toolemu.cases import EmulatedCase, emulated_case_table
from persistence_pipeline.toolemu.rollout import play_candidates as play_all_candidates
from persistence_pipeline.toolemu.rollout import play_emulated
from persistence_pipeline.toolemu.settings import EmulationSettings, half_of, load_cases, of_candidates
from persistence_pipeline.world.scoring import trajectory_table

Judged = tuple[pd.DataFrame, pd.DataFrame]


def read_emulated_cases(settings: EmulationSettings, case_set: CaseSet) -> tuple[list[EmulatedCase], pd.DataFrame]:
    """The cases of a seed, and their table."""
    cases = load_cases(settings, case_set.seed)
    return cases, emulated_case_table(cases)


def play_candidates(
    checkpoint: Path,
    cases: Sequence[EmulatedCase],
    candidates: CandidateSettings,
    settings: EmulationSettings,
    arm: Arm,
) -> tuple[list[Trajectory], pd.DataFrame]:
    """Let the source, or a pool of models, act several times on every train case."""
    played = play_all_candidates(checkpoint, cases, settings, candidates, policy=arm.name, seed=arm.seed)
    return played, trajectory_table(played)


def judge_candidates(
    cases: Sequence[EmulatedCase],
    trajectories: Sequence[Trajectory],
    judging: JudgingSettings,
    settings: EmulationSettings,
    arm: Arm,
) -> Judged:
    """Judgements and scores of the candidates, by the one judge that orders the pairs."""
    return judge_emulated(cases, trajectories, judging.for_pairs(), of_candidates(settings), arm.provenance())


def _play(
    checkpoint: Path,
    cases: Sequence[EmulatedCase],
    rollout: RolloutSettings,
    settings: EmulationSettings,
    player: Cell | Arm,
) -> tuple[list[Trajectory], pd.DataFrame]:
    tested = half_of(cases, settings.split)
    played = play_emulated(checkpoint, tested, settings, rollout, policy=player.name, seed=player.seed)
    return played, trajectory_table(played)


def play_cell(
    checkpoint: Path,
    cases: Sequence[EmulatedCase],
    rollout: RolloutSettings,
    settings: EmulationSettings,
    cell: Cell,
) -> tuple[list[Trajectory], pd.DataFrame]:
    """Let a trained checkpoint act in the emulated world."""
    return _play(checkpoint, cases, rollout, settings, cell)


def play_source(
    checkpoint: Path,
    cases: Sequence[EmulatedCase],
    rollout: RolloutSettings,
    settings: EmulationSettings,
    arm: Arm,
) -> tuple[list[Trajectory], pd.DataFrame]:
    """Let the source act in the emulated world before any stage."""
    return _play(checkpoint, cases, rollout, settings, arm)


def judge_cell(
    cases: Sequence[EmulatedCase],
    trajectories: Sequence[Trajectory],
    judging: JudgingSettings,
    settings: EmulationSettings,
    cell: Cell,
) -> Judged:
    """Judgements and scores of a trained checkpoint."""
    return judge_emulated(cases, trajectories, judging, settings, cell.provenance())


def judge_source(
    cases: Sequence[EmulatedCase],
    trajectories: Sequence[Trajectory],
    judging: JudgingSettings,
    settings: EmulationSettings,
    arm: Arm,
) -> Judged:
    """Judgements and scores of the source before any stage."""
    return judge_emulated(cases, trajectories, judging, settings, arm.provenance())


def show_trajectories(scores: pd.DataFrame, settings: ReportSettings, **parts: Any) -> dict[str, Any]:
    """What the trajectory browser shows of a study on these cases."""
    cases = [case for name, group in parts.items() if name.startswith("cases__") for case in group]
    played = {n.removeprefix("trajectories__"): t for n, t in parts.items() if n.startswith("trajectories__")}
    return browser_data(cases, played, scores, settings, EmulatedCase.described)


def analyse(judging: JudgingSettings, *tables: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, Any]]:
    """All scores in one table, and frontier and persistence by judge."""
    scores = pd.concat(tables, ignore_index=True)
    return scores, analyse_emulated(scores, judging)
