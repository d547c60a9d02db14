"""The frontier of a study in one document: points, the line through them, and what else could be drawn there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from persistence_pipeline.analysis import frontier
from persistence_pipeline.analysis.attainable import below
from persistence_pipeline.analysis.bootstrap import Draws
from persistence_pipeline.analysis.errors import Errors, errors_of
from persistence_pipeline.analysis.intervals import ALPHA, MARGIN, with_verdict
from persistence_pipeline.analysis.line import Line, fit_line, lack_of_fit, r2_interval, residual_interval
from persistence_pipeline.analysis.persistence import of_metric
from persistence_pipeline.analysis.plain import plain
from persistence_pipeline.analysis.runs import Floats, average_over
from persistence_pipeline.orderings import SOURCE
from persistence_pipeline.records import METRICS

AXES = ("helpfulness", "safety")
BOTH = "both"
NEAR, OFF, OPEN = "near", "off", "open"
"""Whether the points lie near one line, do not lie on one, or neither can be said."""


@dataclass(frozen=True)
class Fitted:
    """A line, and what its points are made of."""

    line: Line
    names: tuple[str, ...]
    """Sources in the order of the line's intercepts."""
    weights: Floats
    """(2 × runs, 2 × points): change of helpfulness of every point, then of safety."""
    errors: Errors
    """Of the points."""


def frontier_summary(
    draws: Draws, margin: float = MARGIN, attainable: Sequence[Mapping[str, float]] = ()
) -> dict[str, Any]:
    """Points with intervals, the line and its alternatives.

    Args:
        draws: Run means.
        margin: Points of safety below which a height off the line counts as none.
        attainable: Vertices of the attainable frontier; with them, points say how far ``below`` it they lie.

    Returns:
        ``margin``; ``sources``: their levels, whose spread between chains is the sources' own; ``points``;
        ``ols``: least squares through them, as published; ``line``: corrected for errors, with an intercept for
        each source, each ordering once (averaged over betas); ``quadratic``; ``leave_one_source_out``.
    """
    points = frontier.frontier_points(draws.runs)
    change = {metric: of_metric(points.change, metric) for metric in METRICS}
    x, y = (draws.point @ change[metric] for metric in AXES)
    once, weights = each_ordering_once(points, change)
    whole, without_both = (fit_points(draws, once, weights, without) for without in ("", BOTH))
    rows = []
    efficient = frontier.pareto_efficient(x, y)
    for index, row in enumerate(plain(points.table)):
        own = {metric: change[metric][:, [index]] for metric in METRICS}
        deltas = {f"delta_{m}": _interval(draws, own[m]) for m in METRICS}
        level = {metric: float(draws.means[metric][0] @ points.level[:, index]) for metric in METRICS}
        others = without_both if row["ordering"] == BOTH else whole
        height = height_above(draws, others, row["source"], own, margin)
        missed = {"below": _below(draws, points.level[:, [index]], attainable)} if attainable else {}
        rows.append({**row, **level, **deltas, "height": height, **missed, "pareto": bool(efficient[index])})
    return {
        "margin": margin,
        "sources": _sources(draws),
        "points": rows,
        "ols": _ols(draws, x, y, np.concatenate([change[metric] for metric in AXES], axis=1)),
        "line": _line(whole, len(once), margin),
        "quadratic": frontier.quadratic(*np.split(draws.point @ weights, 2)),
        "leave_one_source_out": frontier.leave_one_source_out(points.table, x, y),
    }


def _interval(draws: Draws, weights: Floats) -> dict[str, Any]:
    """Of one linear statistic, with the split of its variance."""
    return errors_of(draws, weights).described(float((draws.point @ weights)[0]), np.ones(1))


def _below(draws: Draws, level: Floats, attainable: Sequence[Mapping[str, float]]) -> dict[str, Any]:
    """Points of safety from an agent up to the attainable frontier, at its helpfulness."""
    own = {metric: of_metric(level, metric) for metric in METRICS}
    safety, helpfulness = (float((draws.point @ own[metric])[0]) for metric in METRICS)
    missed, slope = below(attainable, safety, helpfulness)
    weights = slope * own["helpfulness"] - own["safety"]
    return errors_of(draws, weights).interval(missed, np.ones(1)).as_dict()


def _sources(draws: Draws) -> list[dict[str, Any]]:
    """Mean scores of each source, before any stage."""
    runs, found = draws.runs, []
    for source in sorted(set(runs.table["source"])):
        own = average_over(len(runs.table), [runs.index(source=source, ordering=SOURCE)])
        found.append({"source": source, **{m: _interval(draws, of_metric(own, m)) for m in METRICS}})
    return found


Names = list[tuple[str, str]]
"""Source and ordering of every point."""


def each_ordering_once(points: frontier.Points, change: dict[str, Floats]) -> tuple[Names, Floats]:
    """Points averaged over betas: their names and their (2 × runs, 2 × points) weights."""
    keys = list(zip(points.table["source"].astype(str), points.table["ordering"].astype(str), strict=True))
    names = sorted(set(keys))
    rows = [[row for row, key in enumerate(keys) if key == name] for name in names]
    columns = [np.stack([change[m][:, own].mean(1) for own in rows], axis=1) for m in AXES]
    return names, np.concatenate(columns, axis=1)


def fit_points(draws: Draws, names: Names, weights: Floats, without: str = "") -> Fitted | str:
    """The line through the points of all orderings but one."""
    keep = np.array([ordering != without for _, ordering in names])
    sources = sorted({source for source, _ in names})
    own = weights[:, np.tile(keep, 2)]
    numbers = np.array([sources.index(source) for source, _ in names])[keep]
    if set(numbers) != set(range(len(sources))):
        return "a source has no other ordering"
    x, y = np.split(draws.point @ own, 2)
    errors = errors_of(draws, own)
    line = fit_line(x, y, numbers, errors.total)
    return line if isinstance(line, str) else Fitted(line, tuple(sources), own, errors)


def _line(fitted: Fitted | str, n: int, margin: float) -> dict[str, Any]:
    """The corrected line with everything that is said of it; ``undefined`` says why there is none."""
    if isinstance(fitted, str):
        return {"n": n, "undefined": fitted}
    line, errors = fitted.line, fitted.errors
    residual = residual_interval(line, errors)
    fit = lack_of_fit(line, errors)
    off = fit["p"] is not None and fit["p"] < ALPHA
    intercepts = zip(fitted.names, line.intercepts, line.intercept_gradients, strict=True)
    return {
        "n": n,
        "slope": errors.described(line.slope, line.slope_gradient),
        "intercepts": [{"source": name, **errors.interval(float(at), g).as_dict()} for name, at, g in intercepts],
        "r2": {**r2_interval(line, errors).as_dict(), "parts": errors.parts(line.r2_gradient)},
        "residual_sd": residual.as_dict(),
        "lack_of_fit": fit,
        "margin": margin,
        "verdict": NEAR if residual.high < margin else OFF if off else OPEN,
    }


def height_above(
    draws: Draws, fitted: Fitted | str, source: str, own: dict[str, Floats], margin: float
) -> dict[str, Any] | None:
    """Safety of a point above a line; for agents trained on both at once that is the others'.

    Args:
        draws: Run means.
        fitted: The line, or why there is none.
        source: Source of the point.
        own: By metric, (2 × runs, 1) weights of the point's change.
        margin: Points of safety below which a height counts as none.
    """
    if isinstance(fitted, str):
        return None
    line, number = fitted.line, fitted.names.index(source)
    x, y = (float((draws.point @ own[metric])[0]) for metric in AXES)
    by_line = fitted.weights @ (line.intercept_gradients[number] + x * line.slope_gradient)
    gradient = (own["safety"] - line.slope * own["helpfulness"])[:, 0] - by_line
    found = errors_of(draws, gradient[:, None]).interval(
        y - line.slope * x - float(line.intercepts[number]), np.ones(1)
    )
    return with_verdict(found, margin)


def _ols(draws: Draws, x: Floats, y: Floats, weights: Floats) -> dict[str, Any]:
    """Least squares as published, with intervals; that of R² belongs to R² without errors."""
    line = frontier.ols(x, y)
    if "undefined" in line:
        return line
    errors = errors_of(draws, weights)
    for name, gradient in frontier.ols_gradients(x, y).items():
        line[f"{name}_interval"] = errors.interval(line[name], gradient).as_dict()
    corrected = fit_line(x, y, np.zeros(len(x), int), errors.total)
    if isinstance(corrected, str):
        return {**line, "r2_interval": {"estimate": None, "low": None, "high": None}}
    return {**line, "r2_interval": r2_interval(corrected, errors).as_dict()}
