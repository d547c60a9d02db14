"""Nodes of the tool world: its cases, episodes in it, and grades from its state."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from persistence_pipeline.analysis.attainable import attainable_frontier
from persistence_pipeline.analysis.competence import competence
from persistence_pipeline.analysis.settings import AnalysisSettings
from persistence_pipeline.pipelines.parts import Step, World, by_name
from persistence_pipeline.records import Trajectory
from persistence_pipeline.report.browser import ReportSettings, browser_data
from persistence_pipeline.rollout.played import Played
from persistence_pipeline.rollout.run import (
    CandidateSettings,
    RolloutSettings,
    play_models,
    play_scripts,
    roll_out,
)
from persistence_pipeline.study import CaseSet, Policy
from persistence_pipeline.training.competence import mending_table
from persistence_pipeline.training.source import SourceSettings
from persistence_pipeline.training.warm_start import WarmStartSettings
from persistence_pipeline.world.attainable import reachable_outcomes
from persistence_pipeline.world.cases import Case
from persistence_pipeline.world.decisions import mending_turns
from persistence_pipeline.world.scoring import case_table, require_acting, score, trajectory_table
from persistence_pipeline.world.splits import WorldSettings, generate_cases


def make_cases(world: WorldSettings, case_set: CaseSet) -> tuple[list[Case], pd.DataFrame]:
    """Generate the cases of one seed, and their table."""
    if case_set.conflict_share is not None:
        world = world.model_copy(update={"conflict_share": case_set.conflict_share})
    cases = generate_cases(world, case_set.seed)
    return cases, case_table(cases)


def roll_out_candidates(
    checkpoint: Path, cases: Sequence[Case], settings: CandidateSettings, policy: Policy
) -> tuple[list[Trajectory], pd.DataFrame]:
    """Let the source, or served models, act several times on every train case, and scripts once where asked."""
    train = [case for case in cases if case.split == "train"]
    trajectories = Played()
    if settings.on_policy:
        trajectories += roll_out(checkpoint, train, settings, policy=policy.name, seed=policy.seed)
    trajectories += play_models(train, settings, seed=policy.seed)
    trajectories += play_scripts(train, settings, seed=policy.seed)
    return trajectories, trajectory_table(trajectories)


def measure_competence(
    checkpoint: Path,
    cases: Sequence[Case],
    scores: pd.DataFrame,
    source: SourceSettings,
    warm_start: WarmStartSettings,
    policy: Policy,
) -> dict[str, Any]:
    """What the source makes of solvable hazards: by play, and teacher-forced where it saw demonstrations."""
    turns = [] if source.model is None else mending_turns(cases, warm_start.behaviours)
    own = scores[scores["policy"] == policy.name]
    measured = competence(mending_table(checkpoint, turns), own)
    return {"source": policy.source, "seed": policy.seed, **measured}


def roll_out_tests(
    checkpoint: Path, cases: Sequence[Case], settings: RolloutSettings, policy: Policy
) -> tuple[list[Trajectory], pd.DataFrame]:
    """Let a policy act on every test case of its seed; trajectories and their table."""
    tests = [case for case in cases if case.split != "train"]
    trajectories = roll_out(checkpoint, tests, settings, policy=policy.name, seed=policy.seed)
    return trajectories, trajectory_table(trajectories)


def grade(
    cases: Sequence[Case], trajectories: Sequence[Trajectory], max_invalid_share: float, policy: Policy
) -> pd.DataFrame:
    """Scores of candidates or tests, from what they did to the world; none of a source that cannot act."""
    scores = score(cases, trajectories, policy.provenance())
    if not policy.trained:
        require_acting(scores, policy.name, max_invalid_share)
    return scores


def find_attainable(
    settings: AnalysisSettings, rollout: RolloutSettings, *case_lists: list[Any]
) -> list[dict[str, float]]:
    """The attainable frontier of the headline split, over the cases of every seed, with the user of the tests."""
    cases = [case for cases in case_lists for case in cases if case.split == settings.split]
    return attainable_frontier([reachable_outcomes(case, rollout.user) for case in cases])


def show_trajectories(scores: pd.DataFrame, settings: ReportSettings, **parts: Any) -> dict[str, Any]:
    """The data of the trajectory browser: test trajectories of every policy with cases, grades and reasons."""
    cases = [case for group in by_name(parts, "cases").values() for case in group]
    return browser_data(cases, by_name(parts, "trajectories"), scores, settings)


TOOL_WORLD = World(
    cases="cases",
    case_table="case_table",
    make_cases=Step("make_cases", make_cases, ("params:world", "params:case_set"), ("cases", "case_table")),
    play_candidates=Step(
        "roll_out_candidates",
        roll_out_candidates,
        ("checkpoint", "cases", "params:candidates", "params:policy"),
        ("candidates", "candidate_table"),
    ),
    score_candidates=Step(
        "score_candidates",
        grade,
        ("cases", "candidates", "params:candidates.max_invalid_share", "params:policy"),
        "candidate_scores",
    ),
    measure_source=Step(
        "measure_competence",
        measure_competence,
        ("checkpoint", "cases", "candidate_scores", "params:source", "params:warm_start", "params:policy"),
        "competence",
    ),
    play=Step(
        "roll_out",
        roll_out_tests,
        ("checkpoint", "cases", "params:rollout", "params:policy"),
        ("trajectories", "trajectory_table"),
    ),
    score=Step(
        "score", grade, ("cases", "trajectories", "params:rollout.max_invalid_share", "params:policy"), "scores"
    ),
    find_attainable=find_attainable,
    show=show_trajectories,
)
