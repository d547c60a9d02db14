"""Nodes of cases in ToolEmu's format: a model plays the tools, judges score."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from persistence_pipeline.analysis.settings import AnalysisSettings
from persistence_pipeline.judging.emulated import judge_emulated
from persistence_pipeline.judging.settings import JudgingSettings
from persistence_pipeline.pipelines.parts import Step, World, by_name
from persistence_pipeline.records import Trajectory
from persistence_pipeline.report.browser import ReportSettings, browser_data
from persistence_pipeline.report.told import Told
from persistence_pipeline.rollout.run import CandidateSettings, RolloutSettings
from persistence_pipeline.study import CaseSet, Policy
from persistence_pipeline.toolemu.cases import EmulatedCase, emulated_case_table
from persistence_pipeline.toolemu.rollout import play_candidates, play_emulated
from persistence_pipeline.toolemu.settings import EmulationSettings, half_of, load_cases, of_candidates
from persistence_pipeline.world.scoring import trajectory_table

Judged = tuple[pd.DataFrame, pd.DataFrame]


def read_cases(settings: EmulationSettings, case_set: CaseSet) -> tuple[list[EmulatedCase], pd.DataFrame]:
    """The cases of a seed, both halves, and their table."""
    cases = load_cases(settings, case_set.seed)
    return cases, emulated_case_table(cases)


def roll_out_candidates(
    checkpoint: Path,
    cases: Sequence[EmulatedCase],
    candidates: CandidateSettings,
    settings: EmulationSettings,
    policy: Policy,
) -> tuple[list[Trajectory], pd.DataFrame]:
    """Let the source, or served models, act several times on every train case."""
    played = play_candidates(checkpoint, cases, settings, candidates, policy=policy.name, seed=policy.seed)
    return played, trajectory_table(played)


def judge_candidates(
    cases: Sequence[EmulatedCase],
    trajectories: Sequence[Trajectory],
    judging: JudgingSettings,
    settings: EmulationSettings,
    policy: Policy,
) -> Judged:
    """Judgements and scores of the candidates, by the one judge that orders the pairs."""
    return judge_emulated(cases, trajectories, judging.for_pairs(), of_candidates(settings), policy.provenance())


def roll_out_tests(
    checkpoint: Path,
    cases: Sequence[EmulatedCase],
    rollout: RolloutSettings,
    settings: EmulationSettings,
    policy: Policy,
) -> tuple[list[Trajectory], pd.DataFrame]:
    """Let a policy act in the emulated world."""
    tested = half_of(cases, settings.split)
    played = play_emulated(checkpoint, tested, settings, rollout, policy=policy.name, seed=policy.seed)
    return played, trajectory_table(played)


def judge_tests(
    cases: Sequence[EmulatedCase],
    trajectories: Sequence[Trajectory],
    judging: JudgingSettings,
    settings: EmulationSettings,
    policy: Policy,
) -> Judged:
    """Judgements and scores of what a policy did."""
    return judge_emulated(cases, trajectories, judging, settings, policy.provenance())


def find_attainable(settings: AnalysisSettings, *case_lists: list[Any]) -> list[dict[str, float]]:
    """Nothing: what is attainable is known where the world is."""
    return []


def show_trajectories(scores: pd.DataFrame, settings: ReportSettings, **parts: Any) -> dict[str, Any]:
    """The data of the trajectory browser of a study on these cases."""
    cases = [case for group in by_name(parts, "cases").values() for case in group]
    return browser_data(cases, by_name(parts, "trajectories"), scores, settings, Told(EmulatedCase.described))


_JUDGED_BY = ("params:judging", "params:emulation", "params:policy")

TOOLEMU = World(
    cases="emulated_cases",
    case_table="emulated_case_table",
    make_cases=Step(
        "read_emulated_cases",
        read_cases,
        ("params:emulation", "params:case_set"),
        ("emulated_cases", "emulated_case_table"),
    ),
    play_candidates=Step(
        "roll_out_candidates",
        roll_out_candidates,
        ("checkpoint", "cases", "params:candidates", "params:emulation", "params:policy"),
        ("candidates", "candidate_table"),
    ),
    score_candidates=Step(
        "score_candidates",
        judge_candidates,
        ("cases", "candidates", *_JUDGED_BY),
        ("candidate_judgements", "candidate_scores"),
    ),
    measure_source=None,
    play=Step(
        "roll_out",
        roll_out_tests,
        ("checkpoint", "cases", "params:rollout", "params:emulation", "params:policy"),
        ("trajectories", "trajectory_table"),
    ),
    score=Step("score", judge_tests, ("cases", "trajectories", *_JUDGED_BY), ("judgements", "scores")),
    find_attainable=find_attainable,
    show=show_trajectories,
)
