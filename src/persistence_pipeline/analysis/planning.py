"""How many chains and cases a question needs, from a pilot: a finished study with at least two seeds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from persistence_pipeline.analysis.intervals import ALPHA
from persistence_pipeline.analysis.power import seeds_for_equivalence, seeds_needed, smallest_effect
from persistence_pipeline.records import METRICS

TIMES_CASES = (1, 2, 4)
"""Multiples of the pilot's cases that are asked about."""
COLUMNS = ("what", "of", "cases", "spread", "effect", "seeds", "seeds_to_exclude", "seen_with_the_pilots_seeds")
Row = dict[str, Any]


class PlanningError(ValueError):
    """A pilot cannot say how many seeds are needed."""


def plan_rows(
    summary: Mapping[str, Any], order_effect: float, persistence_difference: float, power: float
) -> list[Row]:
    """Seeds that each question needs.

    Args:
        summary: The pilot's ``summary.json``.
        order_effect: Points of 3 that S>H and H>S should be told apart by.
        persistence_difference: Difference of the two shares that should be told from zero.
        power: Probability of that.

    Returns:
        Rows with ``COLUMNS``: ``spread`` is the standard deviation between chains, ``seeds`` what the effect needs,
        ``seeds_to_exclude`` what it takes to show that there is none that large, ``seen_with_the_pilots_seeds`` the
        effect that the pilot's own number of seeds would show. Gaps are one family of tests, so each is asked at
        Holm's strictest level. None where more than ``power.MOST_SEEDS`` would be needed.

    Raises:
        PlanningError: the pilot has no order effect, or one seed only.
    """
    orders = [row for row in summary["persistence"] if "order" in row]
    if not orders:
        raise PlanningError("the pilot has not both orders and both single stages, so it has no order effect")
    rows = list(_rows(orders, order_effect, persistence_difference, power))
    if not rows:
        raise PlanningError("the pilot has one seed: how much chains differ takes two at least")
    return rows


def _rows(orders: list[Any], effect: float, difference: float, power: float) -> Iterator[Row]:
    strictest = ALPHA / (len(orders) * len(METRICS))
    for row in orders:
        order, n = row["order"], len(row["order"]["seeds"])
        of = f"{row['source']}, {row['evaluator']}, beta {row['beta']:g}"
        for metric in METRICS:
            parts = order[metric]["parts"]
            if parts["training"] is None or order[metric]["error"] is None:
                continue
            over_cases = n * (parts["cases"] + (parts["sampling"] or 0.0))
            beyond = max(0.0, n * order[metric]["error"] ** 2 - over_cases)
            for times in TIMES_CASES:
                spread = (beyond + over_cases / times) ** 0.5
                asked = _row(f"order effect in {metric}", spread, effect, n, power, strictest)
                yield {**asked, "of": of, "cases": f"{times} × the pilot's"}
        more = order.get("more")
        if more is not None and more["error"] is not None and n > 1:
            asked = _row("difference of the shares", more["error"] * n**0.5, difference, n, power, ALPHA)
            yield {**asked, "of": of, "cases": "1 × the pilot's"}


def _row(what: str, spread: float, effect: float, n: int, power: float, alpha: float) -> Row:
    return {
        "what": what,
        "spread": spread,
        "effect": effect,
        "seeds": seeds_needed(effect, spread, power, alpha),
        "seeds_to_exclude": seeds_for_equivalence(effect, spread, power),
        "seen_with_the_pilots_seeds": smallest_effect(spread, n, power, alpha),
    }
