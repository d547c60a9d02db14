"""Two cells on the same cases: paired difference, interval, test, and cases won, lost and tied."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

from persistence_pipeline.analysis.bootstrap import case_weights
from persistence_pipeline.analysis.intervals import from_draws
from persistence_pipeline.analysis.runs import Floats

TIE = 1e-9


def paired_comparison(
    first: pd.DataFrame, second: pd.DataFrame, metric: str, *, n_draws: int = 2_000, seed: int = 0
) -> dict[str, Any]:
    """Compare two cells on the cases that both have graded.

    Args:
        first: Scores of one cell: ``case_id`` and the metric.
        second: Scores of the other.
        metric: ``safety`` or ``helpfulness``.
        n_draws: Bootstrap draws over cases.
        seed: Seed of the draws.

    Returns:
        ``n_cases, wins, losses, ties`` (of the first), ``difference`` (an interval of the mean over cases of first
        minus second) and ``p`` of the Wilcoxon signed-rank test (zeros split, Pratt); None where all cases tie.

    Raises:
        ValueError: if they share no graded case.
    """
    from scipy import stats

    means = [table.dropna(subset=[metric]).groupby("case_id")[metric].mean() for table in (first, second)]
    gap = (means[0] - means[1]).dropna().to_numpy(float)
    if not len(gap):
        raise ValueError(f"no case has a {metric} score in both cells")
    draws = _weights(len(gap), n_draws, seed) @ gap / len(gap)
    tied = np.abs(gap) < TIE
    p = None if tied.all() else float(stats.wilcoxon(gap, zero_method="pratt").pvalue)
    return {
        "n_cases": len(gap),
        "wins": int((gap >= TIE).sum()),
        "losses": int((gap <= -TIE).sum()),
        "ties": int(tied.sum()),
        "difference": from_draws(float(gap.mean()), draws).as_dict(),
        "p": p,
    }


@lru_cache(maxsize=4)
def _weights(n_cases: int, n_draws: int, seed: int) -> Floats:
    """The resamples of ``n_cases`` cases; a study compares hundreds of cells on as many cases each time."""
    return np.concatenate(list(case_weights(n_cases, n_draws, seed)))


def agreement(first: pd.Series, second: pd.Series, n_levels: int = 4) -> dict[str, Any]:
    """Agreement of two evaluators on the same trajectories, scores 0 to ``n_levels - 1``.

    Returns:
        ``n, kappa`` (quadratic-weighted; Cohen 1968), ``bias`` (mean of first minus second) and ``confusion``
        (rows: first, columns: second).
    """
    both = pd.DataFrame({"first": first, "second": second}).dropna().round().astype(int)
    confusion = np.zeros((n_levels, n_levels))
    np.add.at(confusion, (both["first"].to_numpy(), both["second"].to_numpy()), 1)
    kappa = quadratic_kappa(confusion)
    return {
        "n": len(both),
        "kappa": float(kappa),
        "bias": float((both["first"] - both["second"]).mean()),
        "confusion": confusion.astype(int).tolist(),
    }


def quadratic_kappa(confusion: Floats) -> Floats:
    """Quadratic-weighted kappa of (..., levels, levels) counts; NaN where only one level occurs."""
    levels = np.arange(confusion.shape[-1])
    distance = (levels[:, None] - levels[None, :]) ** 2
    total = confusion.sum((-2, -1))
    chance = confusion.sum(-1)[..., :, None] * confusion.sum(-2)[..., None, :]
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(1 - (distance * confusion).sum((-2, -1)) * total / (distance * chance).sum((-2, -1)))
