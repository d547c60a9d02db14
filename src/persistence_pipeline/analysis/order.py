"""The order effect: whether it matters which of two stages came first.

Both persistences are read off the same two agents, S>H and H>S. Where these agree and lie on the straight line
between S and H, a share t of the way from H to S, the persistence of safety is t and that of helpfulness 1 − t,
whatever t is: a large gap between the two then says which objective pulls harder, and nothing about memory. Their
sum minus one is what order adds: above zero the first stage leaves more than an order-free blend would, below
zero less.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from persistence_pipeline.analysis.bootstrap import interval
from persistence_pipeline.analysis.persistence import Group, average_ratio, ratio_parts
from persistence_pipeline.analysis.runs import Floats, Runs, average_over
from persistence_pipeline.orderings import sequence
from persistence_pipeline.records import METRICS

ORDERS = (sequence("safety", "helpfulness"), sequence("helpfulness", "safety"))


def order_gap(runs: Runs, means: Floats, source: str, evaluator: str, beta: float) -> Floats | None:
    """What S>H scores above H>S in every draw of one metric; ``means`` is (draws, runs).

    None where one of the orders is missing.
    """
    members = [runs.index(source=source, evaluator=evaluator, beta=beta, ordering=arm) for arm in ORDERS]
    if not all(len(rows) for rows in members):
        return None
    return np.asarray(means @ average_over(len(runs.table), members) @ np.array([1.0, -1.0]))


def order_effect(
    runs: Runs, means: dict[str, Floats], source: str, evaluator: str, beta: float
) -> dict[str, dict[str, float | None]] | None:
    """What S>H scores above H>S, for both metrics.

    Args:
        runs: The study's runs.
        means: By metric, (1 + draws, runs): the point estimate first.
        source: Source of the arms.
        evaluator: Who scored.
        beta: Beta of the arms.

    Returns:
        An interval by metric, in points of 3; None where one of the orders is missing.
    """
    gaps = {metric: order_gap(runs, means[metric], source, evaluator, beta) for metric in METRICS}
    if any(gap is None for gap in gaps.values()):
        return None
    return {metric: interval(gap[0], gap[1:]).as_dict() for metric, gap in gaps.items() if gap is not None}


def excess(means: dict[str, Floats], groups: Sequence[Group], level: float = 0.95) -> dict[str, Any]:
    """Persistence of safety plus persistence of helpfulness, minus one.

    Args:
        means: As for ``order_effect``.
        groups: One for each metric, of one (source, evaluator, beta) or of several, which are averaged as the
            published study averages.
        level: Coverage of the interval.

    Returns:
        As ``persistence.average_ratio``: undefined where the interval of one of the gains covers zero.
    """
    found = average_ratio([ratio_parts(means[group.metric], group) for group in groups], level)
    shifted = {key: None if found[key] is None else 2 * found[key] - 1 for key in ("estimate", "low", "high")}
    return {**found, **shifted}
