"""Case-cluster bootstrap: one shared resample of the cases across all arms, because arms share cases."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from persistence_pipeline.analysis.plain import plain
from persistence_pipeline.analysis.runs import Floats

CHUNK = 2_000
"""Draws made at a time: bounds memory at CHUNK × cases."""


@dataclass(frozen=True)
class Interval:
    """A point estimate with a percentile interval."""

    estimate: float
    low: float
    high: float

    def as_dict(self) -> dict[str, float | None]:
        """JSON-ready; NaN becomes None."""
        return dict(plain(vars(self)))


def case_weights(n_cases: int, n_draws: int, seed: int) -> Iterator[Floats]:
    """Weights of resampled cases, in chunks of (draws, cases); each row sums to ``n_cases``."""
    rng = np.random.default_rng(seed)
    for start in range(0, n_draws, CHUNK):
        size = min(CHUNK, n_draws - start)
        yield rng.multinomial(n_cases, np.full(n_cases, 1 / n_cases), size).astype(float)


def interval(estimate: float, draws: Floats, level: float = 0.95) -> Interval:
    """Percentile interval of the finite draws around an estimate; NaN where no draw is finite."""
    finite = draws[np.isfinite(draws)]
    if not len(finite):
        return Interval(float(estimate), float("nan"), float("nan"))
    low, high = np.quantile(finite, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(estimate), float(low), float(high))
