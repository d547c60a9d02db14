"""Scores gathered by run and case: the arrays that every estimate and every bootstrap draw is made of.

A *run* is one checkpoint (or source) on one seed's test cases, judged by one evaluator. Arms share cases, so
one weight per case, applied to every run, gives any statistic of the whole study at once. Scores are safety and
helpfulness, unless other measures of an episode are named.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from persistence_pipeline.factors import further
from persistence_pipeline.orderings import SOURCE
from persistence_pipeline.records import METRICS

Floats = npt.NDArray[np.float64]
Marks = npt.NDArray[np.bool_]
ALL = "all"
"""In place of a source: the mean of the sources, where there are several."""
RUN_COLUMNS = ["source", "ordering", "beta", "seed", "evaluator"]
Levels = tuple[tuple[str, Any], ...]
"""Columns of the factors beside beta, each with a level."""


@dataclass(frozen=True)
class Runs:
    """Sums and counts of scores by run and case."""

    table: pd.DataFrame
    """One row per run: ``source, ordering, beta, seed, evaluator``, further factors (NaN for sources, as beta)."""
    cases: tuple[str, ...]
    sums: dict[str, Floats]
    """By metric: (runs, cases) sum of the scores."""
    counts: Floats
    """(runs, cases) number of graded trajectories."""
    sampling: Floats | None
    """(metrics × runs, the same) covariance of the runs' mean scores from sampling the episodes of a case; None
    where no case was played twice."""

    def means(self, weights: Floats) -> dict[str, Floats]:
        """Mean score of every run under case weights.

        Args:
            weights: (draws, cases); the point estimate is a single row of ones.

        Returns:
            By metric: (draws, runs). NaN where a draw holds no case of a run.
        """
        totals = weights @ self.counts.T
        with np.errstate(invalid="ignore", divide="ignore"):
            return {metric: (weights @ sums.T) / totals for metric, sums in self.sums.items()}

    def select(self, keep: Marks) -> Runs:
        """The runs marked in a boolean array."""
        sums = {metric: values[keep] for metric, values in self.sums.items()}
        every = np.tile(keep, len(sums))
        sampling = None if self.sampling is None else self.sampling[np.ix_(every, every)]
        return Runs(self.table[keep].reset_index(drop=True), self.cases, sums, self.counts[keep], sampling)

    @property
    def further(self) -> list[str]:
        """Columns of the factors beside beta."""
        return further(self.table.columns)

    def index(self, **values: Any) -> npt.NDArray[np.int64]:
        """Row numbers of the runs with these column values."""
        keep = np.ones(len(self.table), bool)
        for column, value in values.items():
            keep &= self.columns[column] == value
        return np.flatnonzero(keep)

    @cached_property
    def columns(self) -> dict[str, npt.NDArray[Any]]:
        """The table's columns as arrays: runs are looked up by the thousand, and pandas is slow at that."""
        kinds: dict[str, type] = {"beta": float}
        return {name: self.table[name].to_numpy(kinds.get(name, object)) for name in map(str, self.table)}

    @cached_property
    def share_cases(self) -> Marks:
        """(runs, runs): whether two runs have a case in common."""
        graded = self.counts > 0
        return np.asarray(graded.astype(float) @ graded.T.astype(float) > 0)

    @cached_property
    def chains(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Numbers of each run's source and of its chain, which is everything of one source and seed."""
        return _numbers(self.table, ["source"]), _numbers(self.table, ["source", "seed"])

    @cached_property
    def _cells(self) -> npt.NDArray[np.int64]:
        """The number of each run's cell: runs of one cell differ by their seed only."""
        return _numbers(self.table, [*(name for name in RUN_COLUMNS if name != "seed"), *self.further])

    def repeats(self, used: Marks) -> npt.NDArray[np.int64]:
        """(runs,): how many of the runs in use are of the same cell."""
        return np.bincount(self._cells, used, minlength=len(used))[self._cells].astype(np.int64)

    def deviations(self, point: Floats, used: Marks) -> Floats:
        """(metrics × runs), as ``point``: run means minus the mean of the runs in use of the same cell."""
        repeats = np.maximum(self.repeats(used), 1)
        parts = [
            part - np.bincount(self._cells, part * used, minlength=len(used))[self._cells] / repeats
            for part in point.reshape(-1, len(used))
        ]
        return np.concatenate(parts)


def gather(scores: pd.DataFrame, metrics: Sequence[str] = METRICS) -> Runs:
    """Gather a score table by run and case; rows without scores are left out (they are counted elsewhere).

    Args:
        scores: One row per episode.
        metrics: Columns that are scores.

    Raises:
        ValueError: if a column is missing, nothing is graded, a seed is missing, or a beta is not what a trained
            agent or a source has.
    """
    missing = [c for c in [*RUN_COLUMNS, "case_id", *metrics] if c not in scores]
    if missing:
        raise ValueError(f"score table lacks the columns {missing}")
    graded = scores.dropna(subset=list(metrics))
    if graded.empty:
        raise ValueError("score table has no graded trajectory")
    _check(graded)
    columns = [*RUN_COLUMNS, *further(graded.columns)]
    groups = graded.groupby(columns, sort=True, observed=True, dropna=False)
    run_ids = groups.ngroup().to_numpy()
    table = groups.size().reset_index()[columns]
    case_ids, cases = pd.factorize(graded["case_id"], sort=True)
    shape = (len(table), len(cases))
    flat = run_ids * shape[1] + case_ids
    values = {m: graded[m].to_numpy(float) for m in metrics}
    sums = {m: _totals(flat, values[m], shape) for m in metrics}
    counts = _totals(flat, np.ones(len(graded)), shape)
    return Runs(table, tuple(map(str, cases)), sums, counts, _sampling(flat, values, sums, counts))


def _numbers(table: pd.DataFrame, columns: list[str]) -> npt.NDArray[np.int64]:
    """The number of each row's group."""
    return table.groupby(columns, sort=True, dropna=False).ngroup().to_numpy().astype(np.int64)


def _check(graded: pd.DataFrame) -> None:
    """Refuse what would be gathered under a wrong name."""
    if graded["seed"].isna().any():
        cell = graded.loc[graded["seed"].isna(), ["source", "ordering"]].iloc[0]
        raise ValueError(f"score table: seed of {cell['source']} {cell['ordering']}: expected a number, got none")
    beta = graded["beta"].astype(float)
    trained = graded["ordering"] != SOURCE
    wrong = (trained & ~(beta > 0)) | (~trained & beta.notna())
    if wrong.any():
        row = graded[wrong].iloc[0]
        expected = "none, for a source" if row["ordering"] == SOURCE else "a positive number"
        raise ValueError(
            f"score table: beta of {row['source']} {row['ordering']} seed {row['seed']}: expected {expected}, "
            f"got {row['beta']:g}"
        )


def _totals(flat: npt.NDArray[np.int64], values: Floats, shape: tuple[int, int]) -> Floats:
    return np.bincount(flat, values, minlength=shape[0] * shape[1]).reshape(shape).astype(float)


def _sampling(
    flat: npt.NDArray[np.int64], values: dict[str, Floats], sums: dict[str, Floats], counts: Floats
) -> Floats | None:
    """Covariance of run means from the spread of the episodes of each case of a run."""
    n, several = len(counts), counts > 1
    if not several.any():
        return None
    covariance = np.zeros((len(values) * n, len(values) * n))
    totals = counts.sum(1)
    for i, first in enumerate(values):
        for j, second in enumerate(values):
            products = _totals(flat, values[first] * values[second], counts.shape)
            spread = products - sums[first] * sums[second] / np.maximum(counts, 1)
            within = np.where(several, counts * spread / np.maximum(counts - 1, 1), 0.0).sum(1)
            # Cases played once say nothing of it: they are taken to vary as those that were played more often.
            known = np.where(several, counts, 0.0).sum(1)
            scale = np.divide(totals, known, out=np.zeros(n), where=known > 0)
            covariance[np.arange(n) + i * n, np.arange(n) + j * n] = within * scale / totals**2
    return covariance


def average_over(n_runs: int, groups: Sequence[npt.NDArray[np.int64]]) -> Floats:
    """(runs, groups) matrix that averages the runs of each group."""
    matrix = np.zeros((n_runs, len(groups)))
    for column, rows in enumerate(groups):
        matrix[rows, column] = 1 / len(rows)
    return matrix
