"""Calibration of a judge: its scores against true ones, and the study after correction.

The truth is known where a state grader has scored the same trajectories. A judge is described by its
misclassification matrix M, the share of verdict j among trajectories of true score t. Each verdict j is then given
the value g(j) for which the mean value of the trajectories of every true score t is t, the solution of M'g = t.
The mean value of judged trajectories is an unbiased estimate of their mean true score, however the true scores are
distributed, as long as M is the same for them. This is the matrix method of correcting for misclassification
(Barron 1977, Biometrics 33:414-418; for two levels Rogan and Gladen 1978, American Journal of Epidemiology
107:71-76), written as values of verdicts instead of an inverted matrix of shares. Regression calibration would not
do: the mean true score behind a verdict depends on how the scores are distributed, which differs between arms.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from persistence_pipeline.analysis.bootstrap import Draws, case_weights, draw_means
from persistence_pipeline.analysis.intervals import Interval, from_draws
from persistence_pipeline.analysis.paired import quadratic_kappa
from persistence_pipeline.analysis.runs import Floats
from persistence_pipeline.records import METRICS

LEVELS = 4
TOLERANCE = 0.05
"""Directions in which a judge tells scores apart less than this, relative to its best, are left as judged."""


@dataclass(frozen=True)
class Joint:
    """Weighted counts of (verdict, true score), the first row as observed, the others resampled cases."""

    counts: Floats
    """(1 + draws, verdicts, true scores)."""

    @property
    def matrix(self) -> Floats:
        """Shares of the verdicts by true score; columns of true scores that do not occur are zero."""
        totals = self.counts.sum(-2, keepdims=True)
        return np.asarray(np.divide(self.counts, totals, out=np.zeros_like(self.counts), where=totals > 0))

    def values(self) -> Floats:
        """(1 + draws, verdicts): the corrected value of each verdict, as near to the verdict as M allows."""
        matrix = self.matrix
        levels = np.arange(LEVELS, dtype=float)
        occurs = self.counts.sum(-2) > 0
        transposed = np.swapaxes(matrix, -1, -2)
        gap = np.where(occurs, levels - transposed @ levels, 0.0)
        solved = np.linalg.pinv(transposed, rcond=TOLERANCE) @ gap[..., None]
        return np.asarray(levels + solved[..., 0])


def level_shares(judgements: pd.DataFrame) -> pd.DataFrame:
    """Shares of the verdicts 0 to 3 among a trajectory's replicates, by trajectory; NaN without a verdict.

    Args:
        judgements: ``trajectory_id, metric, score``, one row per replicate.

    Returns:
        Columns ``<metric>_<verdict>``, indexed by trajectory.
    """
    given = judgements.dropna(subset=["score"])
    verdict = given["metric"] + "_" + given["score"].astype(int).astype(str)
    counts = pd.crosstab(given["trajectory_id"], verdict).reindex(columns=_columns(), fill_value=0).astype(float)
    for metric in METRICS:
        own = pd.Index([f"{metric}_{level}" for level in range(LEVELS)])
        counts[own] = counts[own].div(counts[own].sum(axis=1).replace(0, np.nan), axis=0)
    return counts.reindex(pd.Index(judgements["trajectory_id"].unique(), name="trajectory_id"))


def _columns() -> list[str]:
    return [f"{metric}_{level}" for metric in METRICS for level in range(LEVELS)]


def joint_counts(judged: pd.DataFrame, metric: str, n_draws: int, seed: int) -> Joint:
    """Counts of (verdict, true score) with resamples of the cases.

    Args:
        judged: ``case_id``, the true score under the metric's name, and the columns of ``level_shares``.
        metric: ``safety`` or ``helpfulness``.
        n_draws: Bootstrap draws over cases.
        seed: Seed of the draws.

    Raises:
        ValueError: nothing is judged.
    """
    columns = [f"{metric}_{level}" for level in range(LEVELS)]
    known = judged.dropna(subset=[metric, *columns])
    if known.empty:
        raise ValueError(f"no trajectory has both a verdict and a true score of {metric}")
    cases, names = pd.factorize(known["case_id"], sort=True)
    cells = np.zeros((len(names), LEVELS, LEVELS))
    shares, truth = known[columns].to_numpy(float), known[metric].to_numpy(float).round().astype(int)
    for level in range(LEVELS):
        np.add.at(cells[:, level], (cases, truth), shares[:, level])
    flat = cells.reshape(len(names), -1)
    parts = [np.ones((1, len(names))) @ flat, *(w @ flat for w in case_weights(len(names), n_draws, seed))]
    return Joint(np.concatenate(parts).reshape(-1, LEVELS, LEVELS))


def describe_agreement(joint: Joint) -> dict[str, Any]:
    """``n``, kappa and bias with intervals, the counts, and the corrected values of the verdicts."""
    counts, values = joint.counts, joint.values()
    levels = np.arange(LEVELS)
    kappa = quadratic_kappa(counts)
    bias = (counts * (levels[:, None] - levels[None, :])).sum((-2, -1)) / counts.sum((-2, -1))
    return {
        "n": float(counts[0].sum()),
        "kappa": _interval(kappa).as_dict(),
        "bias": _interval(bias).as_dict(),
        "confusion": counts[0].tolist(),
        "true_scores": np.flatnonzero(counts[0].sum(0) > 0).tolist(),
        "values": [_interval(values[:, level]).as_dict() for level in levels],
    }


def bias_by_ordering(
    judged: pd.DataFrame, joint: Joint, metric: str, n_draws: int, seed: int
) -> list[dict[str, Any]]:
    """Bias of the judge for each ordering, before and after correction.

    ``bias`` may differ between orderings only because their true scores do. ``left`` is what the correction
    leaves: where its interval excludes zero, the judge errs differently for that ordering, and the correction does
    not hold.
    """
    rows = []
    values = joint.values()
    for ordering, group in judged.groupby("ordering", sort=True):
        try:
            counts = joint_counts(group, metric, n_draws, seed).counts
        except ValueError:
            continue
        total = counts.sum((-2, -1))
        truth = (counts.sum(-2) * np.arange(LEVELS)).sum(-1) / total
        verdicts = counts.sum(-1) / total[:, None]
        rows.append(
            {
                "ordering": str(ordering),
                "metric": metric,
                "n": float(total[0]),
                "kappa": float(quadratic_kappa(counts[0])),
                "bias": _interval(verdicts @ np.arange(LEVELS) - truth).as_dict(),
                "left": _interval((verdicts * values).sum(-1) - truth).as_dict(),
            }
        )
    return rows


def corrected_draws(judged: pd.DataFrame, joints: dict[str, Joint], n_draws: int, seed: int) -> Draws:
    """Run means of the judged study after correction, with draws over its cases and over those of the calibration.

    Args:
        judged: Score table of the judge with the columns of ``level_shares``.
        joints: By metric, from the calibration's own trajectories, with ``n_draws`` draws.
        n_draws: Bootstrap draws over cases.
        seed: Seed of the draws; other than the calibration's.
    """
    means: dict[str, Floats] = {}
    for level in range(LEVELS):
        shares = judged.assign(**{metric: judged[f"{metric}_{level}"] for metric in METRICS})
        draws = draw_means(shares, n_draws, seed)
        for metric in METRICS:
            part = draws.means[metric] * joints[metric].values()[:, level, None]
            means[metric] = means[metric] + part if metric in means else part
    return Draws(draws.runs, means, linked=True)


def _interval(values: Floats) -> Interval:
    return from_draws(float(values[0]), values[1:])


def missing_by_ordering(judgements: pd.DataFrame, orderings: Sequence[str] | pd.Series) -> list[dict[str, Any]]:
    """Number of judgements that each ordering lacks."""
    table = judgements.assign(ordering=orderings)
    grouped = table.groupby("ordering", sort=True)["score"]
    return [
        {"ordering": str(ordering), "n": len(scores), "n_missing": int(scores.isna().sum())}
        for ordering, scores in grouped
    ]
