"""Case-cluster bootstrap: one shared resample of the cases across all arms, because arms share cases."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pandas as pd

from persistence_pipeline.analysis.runs import Floats, Runs, gather
from persistence_pipeline.records import METRICS

CHUNK = 2_000
"""Draws made at a time: bounds memory at CHUNK × cases."""


@dataclass(frozen=True)
class Draws:
    """Point estimate (first row) and bootstrap draws (the others) of every run's mean, by metric."""

    runs: Runs
    means: dict[str, Floats]
    linked: bool = False
    """Whether something beside cases is common to all runs in a draw, as a calibration of the judge is."""

    def select(self, keep: npt.NDArray[np.bool_]) -> Draws:
        """The draws of the runs marked in a boolean array."""
        means = {metric: values[:, keep] for metric, values in self.means.items()}
        return Draws(self.runs.select(keep), means, self.linked)

    @cached_property
    def point(self) -> Floats:
        """(metrics × runs): mean safety of every run, then mean helpfulness; other measures in their order."""
        return np.concatenate([means[0] for means in self.means.values()])

    @cached_property
    def covariance(self) -> Floats:
        """Covariance of ``point`` over cases, square, from the draws in which every run has a case.

        Zero for one case, whose error cannot be seen. Two runs without a case in common are independent.
        """
        drawn = np.concatenate([means[1:] for means in self.means.values()], axis=1)
        drawn = drawn[np.isfinite(drawn).all(axis=1)]
        n = len(self.runs.cases)
        if len(drawn) < 2 or n < 2:
            return np.zeros((drawn.shape[1], drawn.shape[1]))
        shared = self.linked | np.tile(self.runs.share_cases, (len(self.means), len(self.means)))
        return np.asarray(np.where(shared, np.cov(drawn, rowvar=False) * n / (n - 1), 0.0))


def draw_means(scores: pd.DataFrame, n_draws: int, seed: int, metrics: Sequence[str] = METRICS) -> Draws:
    """Run means of the study as it is and of ``n_draws`` shared resamples of its cases; see ``gather``."""
    runs = gather(scores, metrics)
    parts = [runs.means(np.ones((1, len(runs.cases))))]
    parts += [runs.means(weights) for weights in case_weights(len(runs.cases), n_draws, seed)]
    return Draws(runs, {metric: np.concatenate([part[metric] for part in parts]) for metric in metrics})


def case_weights(n_cases: int, n_draws: int, seed: int) -> Iterator[Floats]:
    """Weights of resampled cases, in chunks of (draws, cases); each row sums to ``n_cases``."""
    rng = np.random.default_rng(seed)
    for start in range(0, n_draws, CHUNK):
        size = min(CHUNK, n_draws - start)
        yield rng.multinomial(n_cases, np.full(n_cases, 1 / n_cases), size).astype(float)
