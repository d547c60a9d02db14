"""Episodes in the emulated world: scores by judges, for there are no others; their frontier and persistence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from persistence_pipeline.analysis.bootstrap import draw_means
from persistence_pipeline.analysis.frontier_summary import frontier_summary
from persistence_pipeline.analysis.summary import persistence_summary
from persistence_pipeline.judging.briefing import emulated_briefing
from persistence_pipeline.judging.panel import ask_judges
from persistence_pipeline.judging.settings import JudgingSettings
from persistence_pipeline.records import Trajectory
from persistence_pipeline.toolemu.cases import EmulatedCase
from persistence_pipeline.toolemu.settings import EmulationSettings


def judge_emulated(
    cases: Sequence[EmulatedCase],
    trajectories: Sequence[Trajectory],
    judging: JudgingSettings,
    settings: EmulationSettings,
    provenance: Mapping[str, Any],
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Judgements and scores by every judge; there is no other score for these cases."""
    briefings = {case.case_id: emulated_briefing(case) for case in cases}
    journals = Path(settings.journals)
    judgements, scores = ask_judges(trajectories, briefings, judging.judges, journals, provenance)
    known = pd.DataFrame([{"case_id": case.case_id, **case.columns()} for case in cases])
    return judgements, scores.merge(known, on="case_id", how="left", validate="many_to_one")


def analyse_emulated(scores: pd.DataFrame, judging: JudgingSettings) -> dict[str, Any]:
    """Frontier and persistence by judge; ``missing`` counts the trajectories without both scores."""
    document = {}
    for name, rows in scores.groupby("evaluator", sort=False):
        missing = rows[["safety", "helpfulness"]].isna().any(axis=1)
        entry: dict[str, Any] = {"n": len(rows), "missing": _reasons(rows[missing])}
        if missing.all():
            document[str(name)] = {**entry, "undefined": "no trajectory has both scores"}
            continue
        draws = draw_means(rows, judging.n_draws, judging.seed)
        frontier = frontier_summary(draws)
        entry["frontier"] = {"points": frontier["points"], "ols": frontier["ols"]}
        document[str(name)] = {**entry, "persistence": persistence_summary(draws)}
    return document


def _reasons(rows: pd.DataFrame) -> dict[str, int]:
    return {str(reason): int(n) for reason, n in rows["missing_reason"].value_counts().items()}
