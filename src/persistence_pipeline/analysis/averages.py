"""Averages over models and evaluators, with how much these differ.

Over several models the average is of models: its interval comes from the spread between their results, so that it
holds for another model of their kind. With one model it is over what varies for that model. Beside each average
stand τ, the standard deviation between results beyond their errors, and I², its share in their variance
(DerSimonian and Laird 1986, Control. Clin. Trials 7:177; Higgins and Thompson 2002, Stat. Med. 21:1539).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from persistence_pipeline.analysis.bootstrap import Draws
from persistence_pipeline.analysis.errors import Errors, errors_of
from persistence_pipeline.analysis.intervals import OVER_MODELS, Interval, from_variance, with_verdict
from persistence_pipeline.analysis.persistence import Group, no_gain, ratio_of
from persistence_pipeline.analysis.runs import Floats


def average(
    draws: Draws,
    values: Floats,
    gradients: Floats,
    sources: Sequence[str],
    level: float = 0.95,
    margin: float | None = None,
) -> dict[str, Any]:
    """Mean of one statistic over several (source, evaluator)s.

    Args:
        draws: Run means.
        values: (m,) the statistic of each.
        gradients: (2 × runs, m) its gradient in the run means.
        sources: (m,) whose it is.
        level: Coverage.
        margin: Below which the average counts as none, where that is asked.

    Returns:
        An interval with ``n``, and with ``tau`` and ``i2`` where there are several; as ``intervals.with_verdict``
        where there is a margin.
    """
    errors = errors_of(draws, gradients)
    found = _mean(draws, values, errors, sources, level)
    described = found.as_dict() if margin is None else with_verdict(found, margin)
    return {**described, **_spread(values, errors.total)}


def _mean(draws: Draws, values: Floats, errors: Errors, sources: Sequence[str], level: float) -> Interval:
    m = len(values)
    if len(set(sources)) < 2:
        return errors.interval(float(values.mean()), np.full(m, 1 / m), level)
    shared = _off_diagonal(errors.cases)
    between = float(values.var(ddof=1)) / m
    variance = between + max(0.0, shared)
    n_cases = len(draws.runs.cases)
    df = variance**2 / (between**2 / (m - 1) + shared**2 / max(1, n_cases - 1)) if variance else float("nan")
    return from_variance(float(values.mean()), variance, df, OVER_MODELS, level)


def _off_diagonal(covariance: Floats) -> float:
    """Mean covariance of two different results."""
    m = len(covariance)
    return float((covariance.sum() - np.trace(covariance)) / (m * (m - 1)))


def _spread(values: Floats, covariance: Floats) -> dict[str, float | int | None]:
    """How much the results differ beyond their errors."""
    m = len(values)
    if m < 2:
        return {"n": m, "tau": None, "i2": None}
    within = float(np.trace(covariance)) / m - _off_diagonal(covariance)
    tau2 = max(0.0, float(values.var(ddof=1)) - within)
    whole = tau2 + max(0.0, within)
    return {"n": m, "tau": tau2**0.5, "i2": tau2 / whole if whole else None}


def average_ratio(
    draws: Draws, groups: Sequence[Group], parts: Sequence[Floats] | None = None, level: float = 0.95
) -> dict[str, Any]:
    """Mean of several ratios, as the published study averages; its interval by linearisation, Fieller's for one.

    Args:
        draws: Run means.
        groups: One for each ratio.
        parts: (2 × runs, 2) weights of numerator and denominator of each; by default those of persistence.
        level: Coverage.

    Returns:
        As ``average``, with ``defined`` and ``reason``: undefined unless the interval of every gain lies above
        zero.
    """
    weights = [group.parts for group in groups] if parts is None else list(parts)
    if len(weights) == 1:
        alone = ratio_of(draws.point @ weights[0], errors_of(draws, weights[0]), level)
        return {**alone, "n": 1, "tau": None, "i2": None}
    pairs = np.stack([draws.point @ pair for pair in weights])
    gains = [
        errors_of(draws, pair[:, 1:]).interval(float(bottom), np.ones(1), level)
        for pair, (_, bottom) in zip(weights, pairs, strict=True)
    ]
    least = min(gains, key=_lowest)
    if not (pairs[:, 1] > 0).all():
        return _undefined(least, len(groups))
    ratios = pairs[:, 0] / pairs[:, 1]
    gradients = np.stack(
        [ratio_gradient(pair, *values) for pair, values in zip(weights, pairs, strict=True)], axis=1
    )
    found = average(draws, ratios, gradients, [group.source for group in groups], level)
    if least.low > 0:
        return {**found, "defined": True, "reason": ""}
    return {**found, **_undefined(least, len(groups)), "estimate": found["estimate"]}


def ratio_gradient(weights: Floats, top: float, bottom: float) -> Floats:
    """(2 × runs) gradient of a ratio whose parts have these (2 × runs, 2) weights."""
    return np.asarray((weights[:, 0] - top / bottom * weights[:, 1]) / bottom)


def _lowest(gain: Interval) -> float:
    return gain.low if gain.low == gain.low else -np.inf


def _undefined(gain: Interval, n: int) -> dict[str, Any]:
    known = {"estimate": None, "low": None, "high": None, "kind": gain.kind, "n": n}
    return {**known, "defined": False, "reason": f"of {n} ratios: {no_gain(gain.reason, gain.low, gain.high)}"}
