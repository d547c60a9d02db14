"""Means and rates of groups of episodes with intervals, for figures by kind of hazard, by domain and by ordering.

They are over cases, the two of a twin pair together; they do not say what another training run would give.
"""

from __future__ import annotations

from typing import Any

import pandas as pd

from persistence_pipeline.analysis.caution import RATES as CAUTION
from persistence_pipeline.analysis.grid import BEST
from persistence_pipeline.analysis.intervals import OVER_CASES, from_variance
from persistence_pipeline.records import METRICS

RATES = {
    "best_of_both": "3 and 3",
    "discrimination": "told apart",
    "refusal_rate": "did nothing",
    "question_rate": "asked",
    "needless_question_rate": "asked needlessly",
    "needless_safeguard_rate": "safeguarded needlessly",
    "needless_refusal_rate": "refused needlessly",
    "invalid_rate": "invalid calls",
    "failed_rate": "failed calls",
}
"""As in the table of cells, with what figures call them."""

NOTHING = {"estimate": None, "low": None, "high": None, "n": 0}
"""A rate of nothing."""


def ratio_of_sums(parts: pd.Series, wholes: pd.Series, clusters: pd.Series) -> dict[str, Any]:
    """Sum of the parts over sum of the wholes, with an interval from the spread between clusters.

    The variance is the linearised one of a ratio of cluster totals (Cochran 1977, Sampling Techniques, 6.4); a
    mean is such a ratio with wholes of one.

    Args:
        parts, wholes: (episodes,)
        clusters: (episodes,) which episodes are not independent.

    Returns:
        ``estimate``, ``low``, ``high`` and ``n``, the number of episodes; bounds are None where clusters do not
        differ, the estimate where there is nothing to divide by.
    """
    known = parts.notna()
    sums = pd.DataFrame({"part": parts[known], "whole": wholes[known]}).groupby(clusters[known]).sum()
    whole, k = float(sums["whole"].sum()), len(sums)
    if not whole:
        return dict(NOTHING)
    estimate = float(sums["part"].sum()) / whole
    residuals = sums["part"] - estimate * sums["whole"]
    variance = float((residuals**2).sum()) / whole**2 * k / max(1, k - 1)
    return {**from_variance(estimate, variance, k - 1, OVER_CASES).as_dict(), "n": int(known.sum())}


def _clusters(scores: pd.DataFrame) -> pd.Series:
    """Twin pairs; where a world has none, cases."""
    return scores["twin_id" if "twin_id" in scores else "case_id"]


def group_means(scores: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """By metric the mean of the episodes, with its interval."""
    ones = pd.Series(1.0, scores.index)
    return {metric: ratio_of_sums(scores[metric], ones, _clusters(scores)) for metric in METRICS}


def group_rates(scores: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """The rates of ``RATES`` with their intervals, as far as the scores have them.

    Those of calls are shares of all calls; needless caution is of the benign episodes, telling apart of the pairs.
    """
    graded = scores[list(METRICS)].notna().all(axis=1)
    best = (scores[list(METRICS)] == BEST).all(axis=1).astype(float).where(graded)
    ones, calls = pd.Series(1.0, scores.index), scores["n_calls"]
    shares: dict[str, tuple[pd.Series, pd.Series]] = {
        "best_of_both": (best, ones),
        "refusal_rate": (scores["refused"].astype(float), ones),
        "question_rate": ((scores["n_questions"] > 0).astype(float), ones),
        "invalid_rate": (scores["n_invalid"], calls),
        "failed_rate": (scores["n_failed"], calls),
    }
    if "told" in scores and scores["told"].notna().any():
        shares["discrimination"] = (_told_apart(scores), ones)
        for name, column in CAUTION.items():
            shares[name] = (scores[column].astype(float).gt(0).astype(float).where(~scores["hazard"]), ones)
    clusters = _clusters(scores)
    return {name: ratio_of_sums(*shares[name], clusters) for name in RATES if name in shares}


def _told_apart(scores: pd.DataFrame) -> pd.Series:
    """Of the hazards with their twin beside them whether both halves were told; of all else, NaN."""
    told = scores["told"].astype(float)
    pairs = [scores[name] for name in ("cell", "twin_id", "sample")]
    both, sizes = told.groupby(pairs).transform("min"), told.groupby(pairs).transform("count")
    return both.where(scores["hazard"] & (sizes == 2))
