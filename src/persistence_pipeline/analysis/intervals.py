"""The one place that makes an interval: bounds from a variance and its degrees of freedom, and what they are over.

Every interval names its kind. Where training was repeated, it is *over cases and training*; where it was not, it
is *over cases: this run only*, and says nothing about what another training run would give.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from persistence_pipeline.analysis.plain import plain
from persistence_pipeline.analysis.runs import Floats

LEVEL = 0.95
ALPHA = 0.05
MARGIN = 0.1
"""Points of 3 below which a difference counts as none, unless a parameter says otherwise."""
OVER_CASES = "over cases: this run only"
OVER_TRAINING = "over cases and training"
OVER_MODELS = "over models, cases and training"
NO_VARIATION = "nothing varies between its cases, so there is nothing to measure an error by"
ABOVE, BELOW, NONE, OPEN = "above", "below", "none", "open"
"""What may be said of a number: above zero, below it, smaller than the margin, nothing."""
MOST_DF = 1e9
"""Above it Student's t is normal."""
TINY = 1e-18
"""Variances up to it are rounding."""


@dataclass(frozen=True)
class Interval:
    """An estimate with an interval, NaN bounds where there is none; ``reason`` says why."""

    estimate: float
    low: float = float("nan")
    high: float = float("nan")
    kind: str = OVER_CASES
    error: float = float("nan")
    """Standard error."""
    df: float = float("nan")
    """Degrees of freedom of the error."""
    reason: str = ""

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready; NaN becomes None."""
        return dict(plain(vars(self)))

    @property
    def p(self) -> float:
        """Two-sided p of the value being zero."""
        return 2 * _below(-abs(self.estimate / self.error), self.df)

    def equivalence_p(self, margin: float) -> float:
        """p of the value lying at the margin or beyond, on the nearer side: the larger of two one-sided tests.

        Schuirmann 1987, J. Pharmacokinet. Biopharm. 15:657.
        """
        return _below((abs(self.estimate) - margin) / self.error, self.df)


def with_verdict(found: Interval, margin: float) -> dict[str, Any]:
    """An interval with what may be said of it.

    Returns:
        The interval with ``margin, p`` (of its being zero), ``equivalent_p`` (of its reaching the margin),
        ``equivalent`` and ``verdict``: ``above`` or ``below`` zero, else ``none`` where it is smaller than the
        margin, else ``open``.
    """
    if found.reason:
        unknown = {"margin": margin, "p": None, "equivalent_p": None}
        return {**found.as_dict(), **unknown, "equivalent": False, "verdict": OPEN}
    equivalent_p = found.equivalence_p(margin)
    row = {**found.as_dict(), "margin": margin, "p": found.p, "equivalent_p": equivalent_p}
    return {**row, "equivalent": equivalent_p < ALPHA, "verdict": verdict(row, found.p)}


def verdict(row: Mapping[str, Any], p: float) -> str:
    """The verdict on a number with this p, perhaps after a correction."""
    if p < ALPHA:
        return ABOVE if row["estimate"] > 0 else BELOW
    return NONE if row["equivalent_p"] < ALPHA else OPEN


def from_variance(estimate: float, variance: float, df: float, kind: str, level: float = LEVEL) -> Interval:
    """Estimate ± t × standard error."""
    if not variance > TINY or not df > 0:
        return Interval(float(estimate), kind=kind, reason=NO_VARIATION)
    error = float(variance) ** 0.5
    half = error * quantile(df, level)
    return Interval(float(estimate), float(estimate - half), float(estimate + half), kind, error, float(df))


def quantile(df: float, level: float = LEVEL) -> float:
    """Two-sided quantile of Student's t."""
    from scipy import special

    return float(special.stdtrit(min(df, MOST_DF), (1 + level) / 2))


def _below(statistic: float, df: float) -> float:
    """Probability of a smaller value of Student's t."""
    from scipy import special

    return float(special.stdtr(min(df, MOST_DF), statistic))


def from_draws(estimate: float, draws: Floats, level: float = LEVEL) -> Interval:
    """Percentile interval over cases of a number that no training is behind, such as a judge's kappa."""
    finite = draws[np.isfinite(draws)]
    if not len(finite):
        return Interval(float(estimate), reason="no draw is defined")
    low, high = np.quantile(finite, [(1 - level) / 2, (1 + level) / 2])
    if low == high:
        return Interval(float(estimate), reason=NO_VARIATION)
    return Interval(float(estimate), float(low), float(high), error=float(finite.std()))


def fieller(
    numerator: float, denominator: float, covariance: Floats, df: float, level: float = LEVEL
) -> dict[str, Any]:
    """Fieller's confidence set of a ratio of means (Fieller 1954, J. R. Stat. Soc. B 16:175).

    Args:
        numerator: Estimate of the numerator.
        denominator: Estimate of the denominator.
        covariance: (2, 2), of both.
        df: Degrees of freedom of the covariance.
        level: Coverage of the set.

    Returns:
        ``low, high, kind``: the set is an interval (``bounded``), the outside of one (``outside``), or the
        ``whole line``, which has no bounds.
    """
    whole = {"low": None, "high": None, "kind": "whole line"}
    if not df > 0 or not np.trace(covariance) > TINY:
        return whole
    t2 = quantile(df, level) ** 2
    a = denominator**2 - t2 * covariance[1, 1]
    b = numerator * denominator - t2 * covariance[0, 1]
    c = numerator**2 - t2 * covariance[0, 0]
    discriminant = b**2 - a * c
    if a == 0 or discriminant < 0:
        return whole
    roots = sorted([(b - discriminant**0.5) / a, (b + discriminant**0.5) / a])
    return {"low": float(roots[0]), "high": float(roots[1]), "kind": "bounded" if a > 0 else "outside"}


def holm(p_values: Sequence[float]) -> list[float]:
    """p values adjusted for being several (Holm 1979, Scand. J. Stat. 6:65)."""
    p = np.asarray(p_values, float)
    order = np.argsort(p)
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(stepped, 1)
    return [float(value) for value in adjusted]


def correct(family: Iterable[dict[str, Any]]) -> None:
    """Correct the verdicts of a family of tests by Holm, and add ``holm_p``; what has no p stays as it is."""
    known = [number for number in family if number["p"] is not None]
    for number, p in zip(known, holm([number["p"] for number in known]), strict=True):
        number |= {"holm_p": p, "verdict": verdict(number, p)}
