"""Frontier and persistence of checkpoints that played emulated cases after their study."""

from __future__ import annotations

from typing import Any

import pandas as pd

from persistence_pipeline.analysis.bootstrap import draw_means
from persistence_pipeline.analysis.frontier_summary import frontier_summary
from persistence_pipeline.analysis.summary import persistence_summary
from persistence_pipeline.judging.settings import JudgingSettings


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
