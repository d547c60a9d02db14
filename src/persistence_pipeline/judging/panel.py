"""Every judge on the trajectories of one player, each with its own journal."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from persistence_pipeline.judging.briefing import Briefing, world_briefing
from persistence_pipeline.judging.judge import judge, score_table
from persistence_pipeline.judging.settings import JudgeSettings, JudgingSettings
from persistence_pipeline.llm_client import ChatClient
from persistence_pipeline.records import Trajectory
from persistence_pipeline.world.cases import Case
from persistence_pipeline.world.scoring import case_table

CASE_COLUMNS = ["case_id", "domain", "kind", "hazard", "conflicting"]


class NoJudgeError(ValueError):
    """Nobody to ask."""


def choose_cases(cases: Sequence[Case], settings: JudgingSettings) -> list[Case]:
    """The cases that are judged: those of the splits, at most ``max_cases`` of each; the same for every player."""
    chosen: list[Case] = []
    for split in settings.splits:
        own = [case for case in cases if case.split == split]
        if settings.max_cases is not None and len(own) > settings.max_cases:
            twins = sorted({case.twin_id for case in own})
            random.Random(f"{settings.seed}/{split}").shuffle(twins)
            picked = set(twins[: max(1, settings.max_cases // 2)])
            own = [case for case in own if case.twin_id in picked]
        chosen += own
    return chosen


def judge_world(
    cases: Sequence[Case],
    trajectories: Sequence[Trajectory],
    settings: JudgingSettings,
    provenance: Mapping[str, Any],
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Judgements and scores of a player's tool-world trajectories by every judge.

    Raises:
        ServingError: a server fails; the run that is started again continues.
    """
    chosen = choose_cases(cases, settings)
    briefings = {case.case_id: world_briefing(case) for case in chosen}
    judged = [trajectory for trajectory in trajectories if trajectory.case_id in briefings]
    judgements, scores = ask_judges(judged, briefings, settings.judges, Path(settings.journals), provenance)
    return judgements, scores.merge(case_table(chosen)[CASE_COLUMNS], on="case_id", validate="many_to_one")


def ask_judges(
    trajectories: Sequence[Trajectory],
    briefings: Mapping[str, Briefing],
    judges: Mapping[str, JudgeSettings],
    journals: Path,
    provenance: Mapping[str, Any],
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Judgements (with the column ``evaluator``) and scores of trajectories by every judge.

    Raises:
        NoJudgeError: the settings name none.
    """
    if not judges:
        raise NoJudgeError("no judge is named: add one under judging.judges (docs/judging.md)")
    all_judgements, all_scores = [], []
    for name, settings in judges.items():
        with ChatClient(settings.server, journals / f"{provenance['cell']}-{name}.jsonl") as client:
            judgements = judge(trajectories, briefings, settings, client)
        scores = score_table(
            trajectories, judgements, evaluator=name, provenance=provenance, combine=settings.combine
        )
        all_judgements.append(judgements.assign(evaluator=name))
        all_scores.append(scores)
    return pd.concat(all_judgements, ignore_index=True), pd.concat(all_scores, ignore_index=True)
