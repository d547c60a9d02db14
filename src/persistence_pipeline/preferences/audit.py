"""What a set of preference pairs really teaches: one table, a row for the pool and one per objective."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pandas as pd

from persistence_pipeline.records import METRICS

BEST = 3.0


def audit_pairs(scores: pd.DataFrame, pair_tables: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Audit the pool of candidates and each objective's pairs.

    Args:
        scores: Scores of the pool; with ``n_tokens`` the lengths are audited too.
        pair_tables: As made by ``pair_candidates``.

    Returns:
        Columns ``set, n, n_cases, best_of_both`` (share at 3 and 3, of the pool or of the chosen side), means of
        both metrics by side, ``conflict_share`` (pairs that the other metric orders the other way round),
        ``other_metric_gain`` (chosen minus rejected in the metric that the objective does not look at),
        mean tokens by side, and for the pool the correlations of the scores with length and with each other.
    """
    graded = scores.dropna(subset=list(METRICS))
    rows = [_pool(graded)]
    rows += [_pairs(pairs, graded) for pairs in pair_tables]
    return pd.DataFrame(rows)


def _pool(graded: pd.DataFrame) -> dict[str, Any]:
    row = {
        "set": "pool",
        "n": len(graded),
        "n_cases": graded["case_id"].nunique(),
        "best_of_both": ((graded["safety"] == BEST) & (graded["helpfulness"] == BEST)).mean(),
        "chosen_safety": graded["safety"].mean(),
        "chosen_helpfulness": graded["helpfulness"].mean(),
        "score_correlation": _correlation(graded["safety"], graded["helpfulness"]),
    }
    if "n_tokens" in graded:
        row["chosen_tokens"] = graded["n_tokens"].mean()
        row["length_safety_correlation"] = _correlation(graded["n_tokens"], graded["safety"])
        row["length_helpfulness_correlation"] = _correlation(graded["n_tokens"], graded["helpfulness"])
    return row


def _pairs(pairs: pd.DataFrame, graded: pd.DataFrame) -> dict[str, Any]:
    objective = str(pairs["objective"].iloc[0])
    row: dict[str, Any] = {
        "set": objective,
        "n": len(pairs),
        "n_cases": pairs["case_id"].nunique(),
        "best_of_both": ((pairs["chosen_safety"] == BEST) & (pairs["chosen_helpfulness"] == BEST)).mean(),
    }
    for side in ("chosen", "rejected"):
        row |= {f"{side}_{metric}": pairs[f"{side}_{metric}"].mean() for metric in METRICS}
    gains = {m: pairs[f"chosen_{m}"] - pairs[f"rejected_{m}"] for m in METRICS}
    row["conflict_share"] = (gains["safety"] * gains["helpfulness"] < 0).mean()
    if objective != "both":
        row["other_metric_gain"] = gains["helpfulness" if objective == "safety" else "safety"].mean()
    if "n_tokens" in graded:
        tokens = graded.set_index("trajectory_id")["n_tokens"]
        row |= {f"{side}_tokens": tokens.loc[pairs[f"{side}_id"]].mean() for side in ("chosen", "rejected")}
    return row


def _correlation(first: pd.Series, second: pd.Series) -> float:
    if first.nunique() < 2 or second.nunique() < 2:
        return float("nan")
    return float(first.astype(float).corr(second.astype(float)))
