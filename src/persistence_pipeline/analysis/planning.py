"""How many chains and cases a question needs, from a pilot: a finished study with at least two seeds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from persistence_pipeline.analysis.intervals import ALPHA
from persistence_pipeline.analysis.power import (
    MOST_SEEDS,
    highest_spread,
    seeds_for_equivalence,
    seeds_needed,
    smallest_effect,
)
from persistence_pipeline.factors import text
from persistence_pipeline.planned import Planned
from persistence_pipeline.records import METRICS

TIMES_CASES = (1, 2, 4)
"""Multiples of the pilot's cases that are asked about."""


class PlanningError(ValueError):
    """A pilot cannot say how many seeds are needed."""


def questions(
    rows: Sequence[Mapping[str, Any]], order_effect: float, persistence_difference: float, power: float
) -> list[Planned]:
    """Chains (seeds) that each question needs.

    Args:
        rows: The pilot's, as ``summary.persistence_summary`` gives them.
        order_effect: Points of 3 that S>H and H>S should be told apart by.
        persistence_difference: Difference of the two persistences that should be told from zero.
        power: Probability of that.

    Returns:
        For each question the spread between chains, the chains that it takes with the pilot's cases and with more,
        those that show that there is no effect of that size, and the effect that the pilot's own number of chains
        would show. Gaps are one family of tests, so each is asked at Holm's strictest level.

    Raises:
        PlanningError: the pilot has no order effect, or one seed only.
    """
    orders = [row for row in rows if "order" in row]
    if not orders:
        raise PlanningError("the pilot has not both orders and both single stages, so it has no order effect")
    planned: list[Planned] = []
    strictest = ALPHA / (len(orders) * len(METRICS))
    for row in orders:
        order, n = row["order"], len(row["order"]["seeds"])
        of = f"{row['source']}, {row['evaluator']}, {text(row)}"
        for metric in METRICS:
            what = f"order effect of {order_effect:g} in {metric}: {of}"
            planned += _question(what, order[metric], n, order_effect, power, strictest)
        if "more" in order:
            what = f"persistences {persistence_difference:g} apart: {of}"
            planned += _question(what, order["more"], n, persistence_difference, power, ALPHA)
    if not planned:
        raise PlanningError("the pilot has one seed: how much chains differ takes two at least")
    return planned


def _question(
    what: str, found: Mapping[str, Any], n: int, effect: float, power: float, alpha: float
) -> Iterator[Planned]:
    """The rows of one question; ``found`` is the pilot's number over n chains, with the parts of its variance."""
    parts = found["parts"]
    if parts["training"] is None or found["error"] is None:
        return
    over_cases = n * (parts["cases"] + (parts["sampling"] or 0.0))
    beyond = max(0.0, n * found["error"] ** 2 - over_cases)
    spread = (beyond + over_cases) ** 0.5
    yield Planned(what, "standard deviation between chains", spread)
    yield Planned(what, "at most, by 95%", highest_spread(spread, n))
    yield Planned(what, f"effect that {n} chains show", smallest_effect(spread, n, power, alpha))
    for times in TIMES_CASES:
        cases = "as many cases" if times == 1 else f"{times} × the cases"
        needed = seeds_needed(effect, (beyond + over_cases / times) ** 0.5, power, alpha)
        yield _seeds(what, f"to see it, with {cases}", needed)
    yield _seeds(what, "to show that there is none", seeds_for_equivalence(effect, spread, power))


def _seeds(what: str, quantity: str, needed: int | None) -> Planned:
    return Planned(what, quantity, needed, "seeds" if needed is not None else f"more than {MOST_SEEDS:,} seeds")
