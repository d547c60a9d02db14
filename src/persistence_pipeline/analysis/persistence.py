"""Persistence: the share of a stage's gain that survives the next stage.

Safety: (Safety(S>H) − Safety(H)) / (Safety(S) − Safety(H)); helpfulness likewise with the letters exchanged.
It is a ratio: where the denominator's interval covers zero it is undefined, and undefined draws are counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from persistence_pipeline.analysis.bootstrap import interval
from persistence_pipeline.analysis.runs import Floats, Runs, average_over
from persistence_pipeline.orderings import sequence

UNBOUNDED = {"low": None, "high": None}
ARMS = {
    "safety": (sequence("safety", "helpfulness"), "helpfulness", "safety"),
    "helpfulness": (sequence("helpfulness", "safety"), "safety", "helpfulness"),
}
"""By metric: the arm trained on it first, the arm never trained on it, the arm trained on nothing else."""


@dataclass(frozen=True)
class Group:
    """The runs of one (source, evaluator, beta) for one metric's ratio."""

    source: str
    evaluator: str
    beta: float
    metric: str
    average: Floats
    """(runs, 3) matrix to the mean scores of the three arms of ``ARMS``."""

    @property
    def key(self) -> tuple[str, str, float, str]:
        """Source, evaluator, beta and metric."""
        return self.source, self.evaluator, self.beta, self.metric


def persistence_groups(runs: Runs) -> list[Group]:
    """Every (source, evaluator, beta, metric) for which all three arms exist."""
    groups = []
    trained = runs.table.dropna(subset=["beta"])
    keys = trained[["source", "evaluator", "beta"]].drop_duplicates().sort_values(["source", "evaluator", "beta"])
    for source, evaluator, beta in keys.itertuples(index=False, name=None):
        for metric, arms in ARMS.items():
            members = [runs.index(source=source, evaluator=evaluator, beta=beta, ordering=arm) for arm in arms]
            if all(len(rows) for rows in members):
                average = average_over(len(runs.table), members)
                groups.append(Group(str(source), str(evaluator), float(beta), metric, average))
    return groups


def ratio_parts(means: Floats, group: Group) -> tuple[Floats, Floats]:
    """Numerator and denominator of every draw; ``means`` is (draws, runs) of the group's metric."""
    arms = means @ group.average
    return arms[:, 0] - arms[:, 1], arms[:, 2] - arms[:, 1]


def ratio(
    numerator: float, denominator: float, numerators: Floats, denominators: Floats, level: float = 0.95
) -> dict[str, Any]:
    """A persistence ratio with its intervals.

    Args:
        numerator: Point estimate of what survived.
        denominator: Point estimate of the gain.
        numerators: Bootstrap draws of the numerator.
        denominators: Bootstrap draws of the denominator.
        level: Coverage of the intervals.

    Returns:
        ``estimate, low, high`` (percentiles of the defined draws), ``numerator, denominator, fieller, n_draws``,
        ``n_undefined`` (draws with no gain to survive: a denominator of zero or less), ``defined``, ``reason``.
    """
    usable = denominators > 0
    draws = numerators[usable] / denominators[usable]
    gain = interval(denominator, denominators, level)
    defined = denominator > 0 and gain.low > 0
    spread = interval(numerator / denominator if denominator else float("nan"), draws, level)
    reason = "" if defined else f"the gain's interval [{gain.low:.3f}, {gain.high:.3f}] does not lie above zero"
    return {
        **spread.as_dict(),
        **({} if defined else UNBOUNDED),
        "numerator": numerator,
        "denominator": denominator,
        "fieller": fieller(numerator, denominator, numerators, denominators, level),
        "n_draws": len(denominators),
        "n_undefined": int((~usable).sum()),
        "defined": bool(defined),
        "reason": reason,
    }


def average_ratio(parts: Sequence[tuple[Floats, Floats]], level: float = 0.95) -> dict[str, Any]:
    """Mean of several persistence ratios with a percentile interval, as the published study averages.

    Args:
        parts: For each ratio its numerators and denominators; the first entry is the point estimate, the others
            are bootstrap draws shared by all ratios.
        level: Coverage of the interval.

    Returns:
        As ``ratio``, without ``numerator, denominator, fieller``, and with ``n_ratios``. A draw in which any of
        the gains is zero or less is undefined.
    """
    usable = np.all([denominators > 0 for _, denominators in parts], axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        means = np.mean([top / bottom for top, bottom in parts], axis=0)
    lowest = min(interval(bottom[0], bottom[1:], level).low for _, bottom in parts)
    defined = bool(usable[0]) and lowest > 0
    spread = interval(means[0] if usable[0] else float("nan"), means[1:][usable[1:]], level)
    return {
        **spread.as_dict(),
        **({} if defined else UNBOUNDED),
        "n_ratios": len(parts),
        "n_draws": len(usable) - 1,
        "n_undefined": int((~usable[1:]).sum()),
        "defined": defined,
        "reason": "" if defined else "the interval of at least one of the gains does not lie above zero",
    }


def fieller(
    numerator: float, denominator: float, numerators: Floats, denominators: Floats, level: float = 0.95
) -> dict[str, Any]:
    """Fieller's confidence set of a ratio of means, with (co)variances from the bootstrap draws.

    The set is an interval (``bounded``), the outside of one (``outside``) or the ``whole line``
    (Fieller 1954, J. R. Stat. Soc. B 16:175).
    """
    from scipy import stats

    if len(numerators) < 2:
        return {**UNBOUNDED, "kind": "whole line"}
    covariance = np.cov(numerators, denominators)
    z2 = float(stats.norm.ppf((1 + level) / 2)) ** 2
    a = denominator**2 - z2 * covariance[1, 1]
    b = numerator * denominator - z2 * covariance[0, 1]
    c = numerator**2 - z2 * covariance[0, 0]
    discriminant = b**2 - a * c
    if a == 0 or discriminant < 0:
        return {**UNBOUNDED, "kind": "whole line"}
    roots = sorted([(b - discriminant**0.5) / a, (b + discriminant**0.5) / a])
    return {"low": float(roots[0]), "high": float(roots[1]), "kind": "bounded" if a > 0 else "outside"}
