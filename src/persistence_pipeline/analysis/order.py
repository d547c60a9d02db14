"""The order effect: whether it matters which of two stages came first.

First stand the two direct gaps, S>H minus H>S in safety and in helpfulness: they need no line and no ratio.

Both persistences are read off the same two agents. Where these agree and lie on the straight line between S and H,
a share t of the way from H to S, the persistence of safety is t and that of helpfulness 1 − t, whatever t is: a
large gap between the two then says which objective pulls harder, and nothing about memory. Their sum minus one,
the *excess*, has two parts. *Along* the line: how much nearer to S the agent S>H lies than H>S, as a share of the
way, which is memory. *Height*: how far both lie beyond the line from S to H, which is none, since two equal agents
off the line have it, too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from persistence_pipeline.analysis.bootstrap import Draws
from persistence_pipeline.analysis.errors import Errors, errors_of
from persistence_pipeline.analysis.intervals import correct, with_verdict
from persistence_pipeline.analysis.persistence import match, of_metric
from persistence_pipeline.analysis.runs import Floats, Levels
from persistence_pipeline.orderings import sequence
from persistence_pipeline.records import METRICS

ORDERS = (sequence("safety", "helpfulness"), sequence("helpfulness", "safety"))
ARMS = ("safety", "helpfulness", *ORDERS)
GAP = np.array([[1.0], [-1.0]])
STEP = 1e-6


def order_gaps(
    draws: Draws, source: str, evaluator: str, beta: float, levels: Levels = ()
) -> tuple[Floats, dict[str, Any]] | None:
    """Weights of S>H minus H>S: (2 × runs, 2), safety and helpfulness; None where an order is missing."""
    found = match(draws.runs, ORDERS, source, evaluator, beta, levels)
    if found is None:
        return None
    weights = np.concatenate([of_metric(found.average @ GAP, metric) for metric in METRICS], axis=1)
    return weights, {"seeds": list(found.seeds), "left_out": list(found.left_out)}


def order_effect(
    draws: Draws, source: str, evaluator: str, beta: float, margin: float, levels: Levels = ()
) -> dict[str, Any] | None:
    """The gap by which S>H scores above H>S.

    Args:
        draws: Run means.
        source: Source of the arms.
        evaluator: Who scored.
        beta: Beta of the arms.
        margin: Points of 3 below which a gap counts as none.
        levels: Of the other factors.

    Returns:
        By metric a gap (see ``gap_of``), ``seeds`` and ``left_out``; where both gains are positive ``excess,
        along, height`` and ``more`` (persistence of safety minus that of helpfulness), an interval each. None
        where one of the orders is missing.
    """
    found = order_gaps(draws, source, evaluator, beta, levels)
    if found is None:
        return None
    weights, seeds = found
    errors, gaps = errors_of(draws, weights), draws.point @ weights
    row = {m: gap_of(errors, float(gaps[i]), np.eye(2)[i], margin) for i, m in enumerate(METRICS)}
    return {**row, **seeds, **_shares(draws, source, evaluator, beta, levels)}


def gap_of(errors: Errors, gap: float, gradient: Floats, margin: float) -> dict[str, Any]:
    """A gap as ``intervals.with_verdict`` has it, with the ``parts`` of its variance."""
    return {**with_verdict(errors.interval(gap, gradient), margin), "parts": errors.parts(gradient)}


def _shares(draws: Draws, source: str, evaluator: str, beta: float, levels: Levels) -> dict[str, Any]:
    """The excess and its two parts, as shares of the way between H and S."""
    found = match(draws.runs, ARMS, source, evaluator, beta, levels)
    if found is None:
        return {}
    weights = np.concatenate([of_metric(found.average, metric) for metric in METRICS], axis=1)
    errors, at = errors_of(draws, weights), draws.point @ weights
    if at[0] <= at[1] or at[5] <= at[4]:
        return {}
    numbers = {"excess": excess, "along": along, "height": height, "more": more}
    return {name: errors.described(float(f(at)), gradient(f, at)) for name, f in numbers.items()}


def gradient(function: Callable[[Floats], float], at: Floats) -> Floats:
    """By central differences."""
    steps = STEP * np.eye(len(at))
    return np.array([(function(at + step) - function(at - step)) / (2 * STEP) for step in steps])


def persistences(at: Floats) -> tuple[float, float]:
    """Of safety and of helpfulness, from safety of S, H, S>H, H>S, then helpfulness of the same."""
    return (at[2] - at[1]) / (at[0] - at[1]), (at[7] - at[4]) / (at[5] - at[4])


def excess(at: Floats) -> float:
    """The two persistences' sum minus one."""
    return float(sum(persistences(at)) - 1)


def more(at: Floats) -> float:
    """Persistence of safety minus that of helpfulness."""
    safety, helpfulness = persistences(at)
    return float(safety - helpfulness)


def along(at: Floats) -> float:
    """Share by which S>H lies nearer to S than H>S: the mean of the two gaps as shares of S minus H."""
    return float((at[2] - at[3]) / (at[0] - at[1]) + (at[6] - at[7]) / (at[4] - at[5])) / 2


def height(at: Floats) -> float:
    """The excess that is not along the line: how far beyond it S>H and H>S lie, summed."""
    return excess(at) - along(at)


def adjust(rows: Sequence[dict[str, Any]]) -> None:
    """Correct the gaps' verdicts by Holm, and add ``holm_p``: the gaps of a study are one family of tests."""
    correct(row["order"][metric] for row in rows if "order" in row for metric in METRICS)
