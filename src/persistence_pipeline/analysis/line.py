"""The line through the points when both axes are measured with error.

What is estimated is the least-squares line through the points *without* their errors, with an intercept for each
source: sums of squares and products are taken within sources, and what the known covariance of the errors adds to
them is taken off (method of moments; Fuller 1987, Measurement Error Models, chapter 2). So the slope is not drawn
towards zero, nor R² down, by noise, and both mean the same whether or not the points lie on a line.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from persistence_pipeline.analysis.errors import Errors
from persistence_pipeline.analysis.intervals import Interval, quantile
from persistence_pipeline.analysis.runs import Floats

MIN_FREE = 1
"""Points beyond those that the slope and the intercepts take up."""


@dataclass(frozen=True)
class Line:
    """A fitted line with the gradients of its numbers in the points (helpfulness of every point, then safety)."""

    slope: float
    intercepts: Floats
    """(sources,)"""
    r2: float
    """Corrected for the errors; may lie a little outside 0 to 1."""
    residual: float
    """Mean square of the points' heights off the line, in points² of safety, corrected; may be below zero."""
    heights: Floats
    """(points,) of safety above the line."""
    square: float
    """Sum of squares of the points' safety within sources, corrected."""
    free: int
    """Points less slope and intercepts."""
    slope_gradient: Floats
    intercept_gradients: Floats
    r2_gradient: Floats
    residual_gradient: Floats
    height_gradients: Floats
    """(points, 2 × points)"""


def fit_line(x: Floats, y: Floats, sources: npt.NDArray[np.int64], covariance: Floats) -> Line | str:
    """The line through points (x, y), or why there is none.

    Args:
        x: (points,) change of helpfulness.
        y: (points,) change of safety.
        sources: (points,) number of each point's source, from 0.
        covariance: (2 × points, 2 × points) of the errors of x, then y.
    """
    n, n_sources = len(x), int(sources.max(initial=-1)) + 1
    free = n - n_sources - 1
    if free < MIN_FREE:
        return f"a line needs {n_sources + 1 + MIN_FREE} points of {n_sources} source(s), there are {n}"
    members = (sources[None, :] == np.arange(n_sources)[:, None]).astype(float)
    means = members / members.sum(1, keepdims=True)
    centre = np.eye(n) - members.T @ means
    px, py = centre @ x, centre @ y
    noise = [float((centre * covariance[i : i + n, j : j + n]).sum()) for i, j in ((0, 0), (0, n), (n, n))]
    xx, xy, yy = float(x @ px) - noise[0], float(x @ py) - noise[1], float(y @ py) - noise[2]
    if not (xx > noise[0] and yy > noise[2] and xy):
        return "the points differ by no more than their errors"
    slope = xy / xx
    slope_gradient = np.concatenate([(py - 2 * slope * px) / xx, px / xx])
    from_mean = np.concatenate([-slope * means, means], axis=1)
    intercepts = means @ y - slope * (means @ x)
    intercept_gradients = from_mean - np.outer(means @ x, slope_gradient)
    heights = y - slope * x - intercepts[sources]
    along = np.concatenate([-slope * np.eye(n), np.eye(n)], axis=1)
    height_gradients = along - np.outer(x, slope_gradient) - intercept_gradients[sources]
    r2 = xy**2 / (xx * yy)
    zero = np.zeros(n)
    r2_gradient = r2 * (
        2 * np.concatenate([py, px]) / xy
        - 2 * np.concatenate([px, zero]) / xx
        - 2 * np.concatenate([zero, py]) / yy
    )
    off = py - slope * px
    residual_gradient = 2 * np.concatenate([-slope * off, off]) / free
    return Line(
        slope,
        intercepts,
        r2,
        (yy - slope * xy) / free,
        heights,
        yy,
        free,
        slope_gradient,
        intercept_gradients,
        r2_gradient,
        residual_gradient,
        height_gradients,
    )


def r2_interval(line: Line, errors: Errors) -> Interval:
    """Of the corrected R², within 0 to 1; symmetrical in √(1 − R²)."""
    curved, estimate = _second_order(line, errors) / line.square**2, float(np.clip(line.r2, 0, 1))
    off = _root_interval(1 - line.r2, line.r2_gradient, errors, curved)
    if off.reason:
        return replace(off, estimate=estimate)
    return replace(off, estimate=estimate, low=max(0.0, 1 - off.high**2), high=1 - off.low**2)


def residual_interval(line: Line, errors: Errors) -> Interval:
    """Of the standard deviation of the points' heights off the line, in points of safety."""
    curved = _second_order(line, errors) / line.free**2
    return replace(_root_interval(line.residual, line.residual_gradient, errors, curved), error=float("nan"))


def _root_interval(square: float, gradient: Floats, errors: Errors, curved: float) -> Interval:
    """Of the root of a square whose variance has a part ``curved`` that is known as well as a normal's.

    The error of a mean square grows with it, that of its root does not: symmetrical bounds of the square lie too
    near its estimate where this is too low. Near zero the step is the root of the square's half width. The error
    is the square's.
    """
    found, root = errors.interval(square, gradient), math.sqrt(max(0.0, square))
    if found.reason:
        return replace(found, estimate=root)
    half = math.hypot(found.error * quantile(found.df), curved**0.5 * quantile(math.inf))
    step = min(half / (2 * root), math.sqrt(half)) if root else math.sqrt(half)
    return replace(found, estimate=root, low=max(0.0, root - step), high=root + step)


def _second_order(line: Line, errors: Errors) -> float:
    """Half the variance that the heights' errors give to their sum of squares on a line.

    The gradient at the points as measured holds it already, on average. Without this half, R² was held in 91% of
    studies whose points lie 0.05 off the line (10 chains, 256 cases), with it in 94%; further off it costs little.
    """
    covariance = line.height_gradients @ errors.total @ line.height_gradients.T
    return float((covariance**2).sum())


def lack_of_fit(line: Line, errors: Errors) -> dict[str, Any]:
    """Test of whether the points lie further off the line than their errors explain.

    The heights' sum of squares over its expectation on a line, with Box's (1954) approximation of its
    distribution, as in a repeated-measures analysis of variance (Greenhouse and Geisser 1959, Psychometrika
    24:95).
    """
    from scipy import stats

    covariance = line.height_gradients @ errors.total @ line.height_gradients.T
    trace, squares = float(np.trace(covariance)), float((covariance**2).sum())
    if trace <= 0:
        return {"p": None}
    df = trace**2 / squares
    repeats = errors.between_df.sum() if len(errors.between_df) else errors.n_cases - 1
    return {
        "statistic": float((line.heights**2).sum() / trace),
        "df": [df, df * float(repeats)],
        "p": float(stats.f.sf((line.heights**2).sum() / trace, df, df * float(repeats))),
    }
