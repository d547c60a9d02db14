"""The frontier: the line through (Δhelpfulness, Δsafety) of the cells, and what else could be drawn there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from persistence_pipeline.analysis.runs import Floats, Runs, average_over
from persistence_pipeline.orderings import SOURCE

MIN_POINTS = 3


@dataclass(frozen=True)
class Points:
    """Its points: (source, ordering, factors), averaged over seeds and evaluators, minus the source."""

    table: pd.DataFrame
    """One row per point: ``source, ordering, beta``, further factors, ``n_runs``."""
    change: Floats
    """(runs, points) matrix that turns run means into differences from the source."""
    level: Floats
    """(runs, points) matrix that turns run means into mean scores."""


def frontier_points(runs: Runs) -> Points:
    """Points of a study.

    Raises:
        ValueError: if a trained run has no source run on the same seed and evaluator.
    """
    trained = runs.table[runs.table["ordering"] != SOURCE]
    keys, members, bases = [], [], []
    columns, by_key = ["source", "ordering", "beta", *runs.further], _source_runs(runs)
    for _, group in trained.groupby(columns, sort=True):
        first = group.iloc[0]
        keys.append({**{c: first[c] for c in columns}, "n_runs": len(group)})
        members.append(group.index.to_numpy())
        bases.append(np.array([_source_run(runs, by_key, row) for row in group.index]))
    level = average_over(len(runs.table), members)
    base = np.zeros_like(level)
    for column, rows in enumerate(bases):
        np.add.at(base[:, column], rows, 1 / len(rows))
    return Points(pd.DataFrame(keys, columns=[*columns, "n_runs"]), level - base, level)


Key = tuple[str, int, str]
"""Source, seed and evaluator."""


def _key(runs: Runs, row: int) -> Key:
    source, seed, evaluator = (runs.columns[name][row] for name in ("source", "seed", "evaluator"))
    return str(source), int(seed), str(evaluator)


def _source_runs(runs: Runs) -> dict[Key, list[int]]:
    """Runs of sources."""
    found: dict[Key, list[int]] = {}
    for row in runs.index(ordering=SOURCE):
        found.setdefault(_key(runs, row), []).append(int(row))
    return found


def _source_run(runs: Runs, by_key: dict[Key, list[int]], row: int) -> int:
    source, seed, evaluator = key = _key(runs, row)
    found = by_key.get(key, [])
    if len(found) != 1:
        raise ValueError(
            f"{source} {runs.columns['ordering'][row]} seed {seed} evaluator {evaluator}: "
            f"expected one run of its source, found {len(found)}"
        )
    return found[0]


def ols(x: Floats, y: Floats) -> dict[str, Any]:
    """Ordinary least squares of y on x: ``n, r2, slope, intercept, p``, or ``undefined`` with the reason."""
    from scipy import stats

    if len(x) < MIN_POINTS:
        return {"n": len(x), "undefined": f"a line needs {MIN_POINTS} points, there are {len(x)}"}
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        return {"n": len(x), "undefined": "all points have the same helpfulness or safety"}
    fit = stats.linregress(x, y)
    return {
        "n": len(x),
        "r2": float(fit.rvalue**2),
        "slope": float(fit.slope),
        "intercept": float(fit.intercept),
        "p": float(fit.pvalue),
    }


def ols_gradients(x: Floats, y: Floats) -> dict[str, Floats]:
    """(2 × points) gradients of slope and intercept in x, then y."""
    n, dx, dy = len(x), x - x.mean(), y - y.mean()
    sxx = float(dx @ dx)
    slope = float(dx @ dy) / sxx
    by_slope = np.concatenate([(dy - 2 * slope * dx) / sxx, dx / sxx])
    means = np.concatenate([np.full(n, -slope / n), np.full(n, 1 / n)])
    return {"slope": by_slope, "intercept": means - x.mean() * by_slope}


def quadratic(x: Floats, y: Floats) -> dict[str, Any]:
    """A parabola as the alternative to the line, with the F test of its quadratic term."""
    from scipy import stats

    n = len(x)
    if n < MIN_POINTS + 1 or len(np.unique(x)) < MIN_POINTS:
        return {"undefined": f"a parabola and its test need {MIN_POINTS + 1} points, there are {n}"}
    coefficients = np.polyfit(x, y, 2)
    residual = float(((y - np.polyval(coefficients, x)) ** 2).sum())
    line = float(((y - np.polyval(np.polyfit(x, y, 1), x)) ** 2).sum())
    total = float(((y - y.mean()) ** 2).sum())
    f = (line - residual) / (residual / (n - 3)) if residual > 0 else float("inf")
    return {
        "coefficients": [float(c) for c in coefficients],
        "r2": 1 - residual / total if total else float("nan"),
        "p": float(stats.f.sf(f, 1, n - 3)),
    }


def leave_one_source_out(points: pd.DataFrame, x: Floats, y: Floats) -> list[dict[str, Any]]:
    """The line without each source in turn; empty for a study of one source."""
    sources = sorted(points["source"].unique())
    if len(sources) < 2:
        return []
    keep = {source: (points["source"] != source).to_numpy() for source in sources}
    return [{"source": source, **ols(x[mask], y[mask])} for source, mask in keep.items()]


def pareto_efficient(x: Floats, y: Floats) -> npt.NDArray[np.bool_]:
    """True where no other point is at least as good on both axes and better on one."""
    better = (x[None, :] >= x[:, None]) & (y[None, :] >= y[:, None])
    strictly = (x[None, :] > x[:, None]) | (y[None, :] > y[:, None])
    return np.asarray(~(better & strictly).any(axis=1))
