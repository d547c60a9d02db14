"""Scores gathered by run and case: the arrays that every estimate and every bootstrap draw is made of.

A *run* is one checkpoint (or source) on one seed's test cases, judged by one evaluator. Arms share cases, so
one weight per case, applied to every run, gives any statistic of the whole study at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from persistence_pipeline.records import METRICS

Floats = npt.NDArray[np.float64]
RUN_COLUMNS = ["source", "ordering", "beta", "seed", "evaluator"]


@dataclass(frozen=True)
class Runs:
    """Sums and counts of scores by run and case."""

    table: pd.DataFrame
    """One row per run: ``source, ordering, beta, seed, evaluator`` (beta NaN for sources)."""
    cases: tuple[str, ...]
    sums: dict[str, Floats]
    """By metric: (runs, cases) sum of the scores."""
    counts: Floats
    """(runs, cases) number of graded trajectories."""

    def means(self, weights: Floats) -> dict[str, Floats]:
        """Mean score of every run under case weights.

        Args:
            weights: (draws, cases); the point estimate is a single row of ones.

        Returns:
            By metric: (draws, runs). NaN where a draw holds no case of a run.
        """
        totals = weights @ self.counts.T
        with np.errstate(invalid="ignore", divide="ignore"):
            return {metric: (weights @ self.sums[metric].T) / totals for metric in METRICS}

    def select(self, keep: npt.NDArray[np.bool_]) -> Runs:
        """The runs marked in a boolean array."""
        sums = {metric: values[keep] for metric, values in self.sums.items()}
        return Runs(self.table[keep].reset_index(drop=True), self.cases, sums, self.counts[keep])

    def index(self, **values: Any) -> npt.NDArray[np.int64]:
        """Row numbers of the runs with these column values."""
        keep = np.ones(len(self.table), bool)
        for column, value in values.items():
            keep &= (self.table[column] == value).to_numpy()
        return np.flatnonzero(keep)


def gather(scores: pd.DataFrame) -> Runs:
    """Gather a score table by run and case; rows without scores are left out (they are counted elsewhere).

    Raises:
        ValueError: if a column is missing, or nothing is graded.
    """
    missing = [c for c in [*RUN_COLUMNS, "case_id", *METRICS] if c not in scores]
    if missing:
        raise ValueError(f"score table lacks the columns {missing}")
    graded = scores.dropna(subset=list(METRICS))
    if graded.empty:
        raise ValueError("score table has no graded trajectory")
    keyed = graded.assign(beta=graded["beta"].astype(float).fillna(-1.0))
    run_ids = keyed.groupby(RUN_COLUMNS, sort=True, observed=True).ngroup().to_numpy()
    table = keyed.groupby(RUN_COLUMNS, sort=True, observed=True).size().reset_index()[RUN_COLUMNS]
    table["beta"] = table["beta"].replace(-1.0, np.nan)
    case_ids, cases = pd.factorize(graded["case_id"], sort=True)
    shape = (len(table), len(cases))
    flat = run_ids * shape[1] + case_ids
    sums = {m: _totals(flat, graded[m].to_numpy(float), shape) for m in METRICS}
    counts = _totals(flat, np.ones(len(graded)), shape)
    return Runs(table, tuple(map(str, cases)), sums, counts)


def _totals(flat: npt.NDArray[np.int64], values: Floats, shape: tuple[int, int]) -> Floats:
    return np.bincount(flat, values, minlength=shape[0] * shape[1]).reshape(shape).astype(float)


def average_over(n_runs: int, groups: Sequence[npt.NDArray[np.int64]]) -> Floats:
    """(runs, groups) matrix that averages the runs of each group."""
    matrix = np.zeros((n_runs, len(groups)))
    for column, rows in enumerate(groups):
        matrix[rows, column] = 1 / len(rows)
    return matrix
