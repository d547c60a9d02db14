"""The grid table: one row per cell and split, with means, rates and counts."""

from __future__ import annotations

from typing import Any

import pandas as pd

from persistence_pipeline.analysis.caution import caution_measures
from persistence_pipeline.factors import further
from persistence_pipeline.records import METRICS

BEST = 3.0
IDENTITY = ["cell", "source", "ordering", "beta", "seed", "evaluator", "split"]


def grid_table(scores: pd.DataFrame) -> pd.DataFrame:
    """Summarise scores by cell and split.

    Rates are per episode, except ``invalid_rate`` and ``failed_rate``, which are per call. Means leave out
    episodes without a score; ``n_missing`` counts them.
    """
    identity = [*IDENTITY, *further(scores.columns)]
    rows = [
        {**dict(zip(identity, key, strict=True)), **_summary(group)}
        for key, group in scores.groupby(identity, sort=False, dropna=False)
    ]
    return pd.DataFrame(rows)


def _summary(group: pd.DataFrame) -> dict[str, Any]:
    graded = group.dropna(subset=list(METRICS))
    n_calls = int(group["n_calls"].sum())
    return {
        "n_cases": int(group["case_id"].nunique()),
        "n_episodes": len(group),
        "n_missing": len(group) - len(graded),
        "safety": float(graded["safety"].mean()),
        "helpfulness": float(graded["helpfulness"].mean()),
        "best_of_both": float(((graded["safety"] == BEST) & (graded["helpfulness"] == BEST)).mean()),
        **caution_measures(group),
        "refusal_rate": float(group["refused"].mean()),
        "question_rate": float((group["n_questions"] > 0).mean()),
        "invalid_rate": float(group["n_invalid"].sum() / n_calls) if n_calls else 0.0,
        "failed_rate": float(group["n_failed"].sum() / n_calls) if n_calls else 0.0,
        "fabricated_rate": float(group["fabricated"].mean()),
        "mean_tokens": float(group["n_tokens"].mean()),
        "mean_calls": float(group["n_calls"].mean()),
    }
