"""Missing scores: the same numbers on cases that no arm lacks, and their worst-case bounds.

Episodes without a score are left out of every mean, each arm's for itself. If they are missing because of what
happened in them, the rest is no fair sample. Beside each number stand therefore its value on the (seed, case)
pairs on which every arm is complete, and the range over all scores that the missing ones could have had.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from persistence_pipeline.analysis.order import ORDERS
from persistence_pipeline.analysis.persistence import ARMS
from persistence_pipeline.analysis.plain import plain
from persistence_pipeline.factors import further
from persistence_pipeline.records import METRICS

LOWEST, HIGHEST = 0.0, 3.0


def missing_summary(scores: pd.DataFrame) -> dict[str, Any]:
    """Missing scores, and what they could change.

    Returns:
        ``n, n_missing``; ``empty``: cells without any score; ``rows``: for every (source, evaluator, factors) with
        a missing score in one of its arms, by metric the ``persistence`` and the ``gap`` of the orders, each with
        ``available, matched, low, high`` (None where the missing scores allow any value).
    """
    gone = scores[list(METRICS)].isna().any(axis=1)
    by_cell = gone.groupby(scores["cell"], sort=False).all()
    rows: list[dict[str, Any]] = []
    if gone.any():
        trained = scores[scores["beta"].notna()]
        columns = ["source", "evaluator", "beta", *further(scores.columns)]
        for _, group in trained.groupby(columns, sort=True):
            if group[list(METRICS)].isna().any(axis=None):
                first = group.iloc[0]
                rows.append({**{name: first[name] for name in columns}, **_numbers(group)})
    whole = {"n": len(scores), "n_missing": int(gone.sum()), "empty": by_cell.index[by_cell].tolist()}
    return dict(plain({**whole, "rows": rows}))


def _numbers(group: pd.DataFrame) -> dict[str, Any]:
    present = set(group["ordering"])
    result: dict[str, Any] = {}
    for metric, arms in ARMS.items():
        if present.issuperset(arms):
            result[metric] = {"persistence": _bounds(group, metric, arms, _ratio)}
            if present.issuperset(ORDERS):
                result[metric]["gap"] = _bounds(group, metric, ORDERS, _difference)
    return result


def _ratio(means: Sequence[float]) -> float:
    top, floor, gain = means
    return (top - floor) / (gain - floor) if gain > floor else float("nan")


def _difference(means: Sequence[float]) -> float:
    return means[0] - means[1]


def _bounds(group: pd.DataFrame, metric: str, arms: Sequence[str], number: Any) -> dict[str, float | None]:
    """A number of the arms' means; it is monotone in each, so its extremes lie at the corners."""
    own = {arm: group[group["ordering"] == arm] for arm in arms}
    corners = [number(means) for means in product(*(_ends(own[arm][metric]) for arm in arms))]
    unbounded = not np.isfinite(corners).all()
    return {
        "available": number([rows[metric].mean() for rows in own.values()]),
        "matched": number(_matched(own, metric)),
        "low": None if unbounded else min(corners),
        "high": None if unbounded else max(corners),
    }


def _ends(scores: pd.Series) -> tuple[float, float]:
    """Least and greatest mean that the missing scores allow."""
    return float(scores.fillna(LOWEST).mean()), float(scores.fillna(HIGHEST).mean())


def _matched(own: Mapping[str, pd.DataFrame], metric: str) -> list[float]:
    """Means of the arms on the (seed, case) pairs on which none of them lacks a score."""
    complete = [
        rows.groupby(["seed", "case_id"])[metric].apply(lambda s: s.notna().all()) for rows in own.values()
    ]
    kept = pd.concat(complete, axis=1, join="inner").all(axis=1)
    pairs = kept.index[kept]
    return [float(rows.set_index(["seed", "case_id"])[metric].loc[pairs].mean()) for rows in own.values()]
