"""The published bootstrap, for comparison only.

It draws cases anew for every (model, evaluator) and every seed, although all of them share the same 144 cases,
leaves a ratio whose denominator is not positive out of the average, and drops a draw without any defined ratio.
A seed that lacks an arm which others of its group have is left out: ratios compare arms on the same cases.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from persistence_pipeline.analysis.persistence import ARMS, Group
from persistence_pipeline.analysis.runs import Floats, Runs

EPSILON = 1e-9
"""Denominators at or below it count as undefined there."""


SeedWeights = tuple[int, npt.NDArray[np.int64], Floats]
"""A seed, numbers of its cases that every arm has, and (draws, cases) resampling weights of those."""
Key = tuple[str, str, float, str]
"""Source, evaluator, beta and metric of a ratio."""


@dataclass(frozen=True)
class GroupDraws:
    """Ratio draws of one (model, evaluator, beta) and metric; NaN where undefined."""

    group: Group
    draws: Floats


def group_draws(runs: Runs, groups: Sequence[Group], n_draws: int, seed: int) -> dict[Key, GroupDraws]:
    """Draws of every group; the two metrics of one (model, evaluator, beta) share theirs."""
    rng = np.random.default_rng(seed)
    result: dict[Key, GroupDraws] = {}
    weights: dict[tuple[str, str, float], list[SeedWeights]] = {}
    for group in groups:
        key = (group.source, group.evaluator, group.beta)
        if key not in weights:
            weights[key] = [_seed_weights(runs, key, s, n_draws, rng) for s in sorted(runs.table["seed"].unique())]
        result[group.key] = GroupDraws(group, _ratio_draws(runs, group, weights[key]))
    return result


def _seed_weights(
    runs: Runs, key: tuple[str, str, float], seed: int, n_draws: int, rng: np.random.Generator
) -> SeedWeights:
    source, evaluator, beta = key
    group = {"source": source, "evaluator": evaluator, "beta": beta}
    rows = runs.index(**group, seed=seed)
    absent = _arms(runs, runs.index(**group)) - _arms(runs, rows)
    cases = np.empty(0, np.int64) if absent else np.flatnonzero((runs.counts[rows] > 0).all(axis=0))
    n = len(cases)
    if not n:
        return seed, cases, np.zeros((n_draws, 0))
    drawn = rng.integers(0, n, (n_draws, n)) + np.arange(n_draws)[:, None] * n
    return seed, cases, np.bincount(drawn.ravel(), minlength=n_draws * n).reshape(n_draws, n).astype(float)


def _arms(runs: Runs, rows: npt.NDArray[np.int64]) -> set[str]:
    """Orderings among some runs that a ratio is made of."""
    return set(runs.table["ordering"].iloc[rows]) & {arm for arms in ARMS.values() for arm in arms}


def _ratio_draws(runs: Runs, group: Group, weights: Sequence[SeedWeights]) -> Floats:
    top_arm, floor_arm, gain_arm = (_arm_totals(runs, group, ordering, weights) for ordering in ARMS[group.metric])
    n = sum(len(cases) for _, cases, _ in weights)
    with np.errstate(divide="ignore", invalid="ignore"):
        numerator, denominator = (top_arm - floor_arm) / n, (gain_arm - floor_arm) / n
        return np.where(denominator > EPSILON, numerator / denominator, np.nan)


def _arm_totals(runs: Runs, group: Group, ordering: str, weights: Sequence[SeedWeights]) -> Floats:
    """Sum of an arm's scores over the drawn (seed, case) pairs."""
    totals = np.zeros(len(weights[0][2]))
    keys = {"source": group.source, "evaluator": group.evaluator, "beta": group.beta, "ordering": ordering}
    for seed, cases, drawn in weights:
        if len(cases):
            (row,) = runs.index(seed=seed, **keys)
            totals += drawn @ (runs.sums[group.metric][row, cases] / runs.counts[row, cases])
    return totals


def published_interval(members: Sequence[GroupDraws], metric: str, level: float = 0.95) -> dict[str, Any]:
    """Percentile interval of the mean ratio of some groups.

    Returns:
        ``low, high, n_dropped`` (draws without a defined ratio of either metric, left out) and ``n_partial``
        (draws whose mean silently lacks some of the ratios).
    """
    draws = {name: np.stack([m.draws for m in members if m.group.metric == name]) for name in _metrics(members)}
    defined = np.all([np.isfinite(values).any(axis=0) for values in draws.values()], axis=0)
    own = draws[metric][:, defined]
    if not own.size:
        return {"low": None, "high": None, "n_dropped": int((~defined).sum()), "n_partial": 0}
    low, high = np.quantile(np.nanmean(own, axis=0), [(1 - level) / 2, (1 + level) / 2])
    return {
        "low": float(low),
        "high": float(high),
        "n_dropped": int((~defined).sum()),
        "n_partial": int((~np.isfinite(own)).any(axis=0).sum()),
    }


def _metrics(members: Sequence[GroupDraws]) -> list[str]:
    return sorted({member.group.metric for member in members})
