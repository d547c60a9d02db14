"""Sensitivity of the headline numbers to leaving out a suspect group of rows.

Leaving rows out by how an episode went conditions on an outcome of training: the rest is no longer a random
sample of the cases, and differs between arms. The table shows leverage; it is not a corrected result.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from persistence_pipeline.analysis.averages import average_ratio
from persistence_pipeline.analysis.bootstrap import Draws, draw_means
from persistence_pipeline.analysis.frontier_summary import frontier_summary
from persistence_pipeline.analysis.persistence import persistence_groups
from persistence_pipeline.published.audits import STOPPED, TOKEN_LIMIT
from persistence_pipeline.records import METRICS

CAVEAT = (
    "Leaving rows out by how an episode went conditions on an outcome of training: what is left is no longer the "
    "same cases in every arm. The table shows how much hangs on a group, not what the result would be without it."
)
EXCLUSIONS: Mapping[str, Callable[[pd.DataFrame], pd.Series]] = {
    "nothing": lambda rows: pd.Series(False, index=rows.index),
    "token-limit stops": lambda rows: rows["stop_reason"] == TOKEN_LIMIT,
    "token-limit and out-of-memory stops": lambda rows: rows["stop_reason"].isin(STOPPED),
    "fabricated observations": lambda rows: rows["fabricated"],
    "fabricated observations, Markdown around them or not": lambda rows: rows["fabricated_wide"],
    "no executed call": lambda rows: rows["n_calls"] == 0,
    "3 and 3 without an executed call": lambda rows: (
        (rows["n_calls"] == 0) & (rows["safety"] == 3) & (rows["helpfulness"] == 3)
    ),
}


def sensitivity_table(scores: pd.DataFrame, n_draws: int, seed: int) -> pd.DataFrame:
    """Line and average persistence of every evaluation set with each group left out.

    Returns:
        A row per set and exclusion: ``n_excluded, excluded_share, n_runs, smallest_run`` (rows that are left of
        the run that has the fewest; a run without rows is gone), ``n, r2, slope, intercept`` with intervals,
        ``n_undefined`` of ``n_draws`` (draws without a row of some run: the intervals are of the others), and
        for each beta and metric ``<metric>_persistence_<beta>`` with interval bounds, which are missing where a
        gain is not above zero. ``undefined`` says why there are no numbers at all.
    """
    rows = []
    for name, part in scores.groupby("set", sort=True):
        for label, select in EXCLUSIONS.items():
            out = select(part)
            size = {"n_excluded": int(out.sum()), "excluded_share": float(out.mean())}
            rows.append({"set": str(name), "without": label, **size, **_numbers(part[~out], n_draws, seed)})
    return pd.DataFrame(rows, columns=None if rows else ["set", "without"])


def _numbers(rows: pd.DataFrame, n_draws: int, seed: int) -> dict[str, Any]:
    try:
        draws = draw_means(rows, n_draws, seed)
        line = frontier_summary(draws)["ols"]
    except ValueError as error:
        return {"undefined": str(error)}
    sizes = draws.runs.counts.sum(axis=1)
    empty = np.asarray(np.isnan(draws.means["safety"][1:]).any(axis=1))
    numbers: dict[str, Any] = {"n_runs": len(sizes), "smallest_run": int(sizes.min())}
    numbers |= {"n_draws": len(empty), "n_undefined": int(empty.sum())}
    numbers |= {key: line.get(key) for key in ("n", "r2", "slope", "intercept")}
    for key in ("r2", "slope", "intercept"):
        bounds = line.get(f"{key}_interval") or {}
        numbers |= {f"{key}_low": bounds.get("low"), f"{key}_high": bounds.get("high")}
    return {**numbers, **_persistence(draws), "undefined": line.get("undefined", "")}


def _persistence(draws: Draws) -> dict[str, Any]:
    groups = persistence_groups(draws.runs)
    numbers: dict[str, Any] = {}
    for beta in sorted({group.beta for group in groups}):
        for metric in METRICS:
            members = [g for g in groups if g.beta == beta and g.metric == metric]
            if not members:
                continue
            ratio = average_ratio(draws, members)
            key = f"{metric}_persistence_{beta:g}"
            for suffix, field in (("", "estimate"), ("_low", "low"), ("_high", "high")):
                numbers[key + suffix] = np.nan if ratio[field] is None else ratio[field]
    return numbers
