"""Errors of what is computed from run means: how much would differ with other cases and in another training run.

A *chain* is everything of one source and seed: its training, and where sources are trained here its source. Chains
of one source are the repetitions that the spread between trainings is measured by; no assumption is made about
which arms vary more. Chains that were tested on the same cases are not independent: the covariance that this gives
comes from the bootstrap over cases. For a statistic that is linear in the run means, with l the part of it that a
chain contributes,

    variance = Σ over sources of k · s²(l)  +  covariance of the chains through shared cases,

where s² is the sample variance over the k chains of a source, and degrees of freedom follow Satterthwaite (1946,
Biometrics Bull. 2:110). Where each chain has cases of its own this is Student's t over chains, which is exact for
normal chains however unequal the arms are.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from persistence_pipeline.analysis.bootstrap import Draws
from persistence_pipeline.analysis.intervals import (
    LEVEL,
    OVER_CASES,
    OVER_TRAINING,
    Interval,
    fieller,
    from_variance,
)
from persistence_pipeline.analysis.runs import Floats


@dataclass(frozen=True)
class Errors:
    """Covariance of q statistics, by where it comes from."""

    between: Floats
    """(sources, q, q): between the chains of each source; none where training was not repeated."""
    between_df: Floats
    """(sources,)"""
    shared: Floats
    """(q, q): through cases that chains share; without repeated training, all of the covariance over cases."""
    cases: Floats
    """(q, q): over cases alone, which is part of the whole."""
    sampling: Floats | None
    """(q, q): from sampling the episodes of a case, part of that over cases; None where each was sampled once."""
    n_cases: int

    @property
    def kind(self) -> str:
        """The sources of error that intervals are over."""
        return OVER_TRAINING if len(self.between) else OVER_CASES

    @cached_property
    def total(self) -> Floats:
        """(q, q) covariance."""
        return np.asarray(self.between.sum(0) + self.shared)

    def variance(self, gradient: Floats) -> float:
        """Of the combination of the statistics that has this gradient."""
        return float(gradient @ self.total @ gradient)

    def df(self, gradient: Floats) -> float:
        """Degrees of freedom of ``variance``."""
        parts = np.array([gradient @ part @ gradient for part in (*self.between, self.shared)])
        dfs = np.array([*self.between_df, self.n_cases - 1])
        if self.n_cases < 2 or not (parts > 0).any():
            return float("nan")
        return float(parts.sum() ** 2 / (parts**2 / dfs).sum())

    def interval(self, estimate: float, gradient: Floats, level: float = LEVEL) -> Interval:
        """Of a number with this gradient in the statistics."""
        if self.n_cases < 2:
            return Interval(estimate, kind=self.kind, reason="one case: an interval needs at least two")
        return from_variance(estimate, self.variance(gradient), self.df(gradient), self.kind, level)

    def ratio(self, numerator: float, denominator: float, level: float = LEVEL) -> dict[str, Any]:
        """Fieller's set of the first of two statistics over the second."""
        gradient = np.array([1.0, -numerator / denominator if denominator else 0.0])
        return fieller(numerator, denominator, self.total, self.df(gradient), level)

    def described(self, estimate: float, gradient: Floats) -> dict[str, Any]:
        """An interval, JSON-ready, with the ``parts`` of its variance."""
        return {**self.interval(estimate, gradient).as_dict(), "parts": self.parts(gradient)}

    def parts(self, gradient: Floats) -> dict[str, float | None]:
        """The variance of a combination, split as far as the design tells.

        Returns:
            ``sampling`` (None where each case was played once), ``cases``, and ``training`` with the source where
            each chain has its own (None where training was not repeated). None of them is below zero.
        """
        cases = float(gradient @ self.cases @ gradient)
        sampling = None if self.sampling is None else float(gradient @ self.sampling @ gradient)
        return {
            "sampling": sampling,
            "cases": max(0.0, cases - (sampling or 0.0)),
            "training": max(0.0, self.variance(gradient) - cases) if len(self.between) else None,
        }


def errors_of(draws: Draws, weights: Floats) -> Errors:
    """Errors of statistics that are linear in the run means.

    Args:
        draws: Run means and their draws over cases.
        weights: (metrics × runs, q), in the order of ``Draws.point``.
    """
    runs, n_metrics = draws.runs, len(draws.means)
    used = np.asarray((weights != 0).reshape(n_metrics, len(runs.table), -1).any(axis=(0, 2)))
    covariance, weighted = draws.covariance, weights.T @ draws.covariance @ weights
    sampled = runs.sampling
    noise = None if sampled is None else weights.T @ sampled @ weights
    repeats = runs.repeats(used)
    if not used.any() or repeats[used].min() < 2:
        q = weights.shape[1]
        return Errors(np.zeros((0, q, q)), np.zeros(0), weighted, weighted, noise, len(runs.cases))
    sources, chains = runs.chains
    deviations = np.tile(np.where(used, np.sqrt(repeats / np.maximum(repeats - 1, 1)), 0.0), n_metrics)
    parts = (
        (weights * (deviations * runs.deviations(draws.point, used))[:, None])
        .reshape(n_metrics, len(used), -1)
        .sum(0)
    )
    between, dfs, overlap = [], [], (chains[:, None] != chains[None, :]).astype(float)
    for source in np.unique(sources[used]):
        own = used & (sources == source)
        summed = np.stack([parts[own & (chains == chain)].sum(0) for chain in np.unique(chains[own])])
        between.append(summed.T @ summed)
        dfs.append(len(summed) - 1.0)
        overlap[np.ix_(own, own)] *= 1 + 1 / dfs[-1]
    linked = np.zeros_like(weighted)
    if draws.linked or (runs.share_cases & (overlap > 0)).any():
        linked = _without_negative(weights.T @ (covariance * np.tile(overlap, (n_metrics, n_metrics))) @ weights)
    return Errors(np.stack(between), np.array(dfs), linked, weighted, noise, len(runs.cases))


def interval_of(draws: Draws, weights: Floats) -> Interval:
    """Of the number that (metrics × runs, 1) weights make of the run means."""
    return errors_of(draws, weights).interval(float((draws.point @ weights)[0]), np.ones(1))


def _without_negative(covariance: Floats) -> Floats:
    """The nearest covariance: what an estimated one has of negative variances is set to zero."""
    values, vectors = np.linalg.eigh((covariance + covariance.T) / 2)
    return np.asarray((vectors * np.maximum(values, 0.0)) @ vectors.T)
