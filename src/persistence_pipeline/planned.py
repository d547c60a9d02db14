"""A row of a study's plan: a number that is known, or estimated, before the work."""

from __future__ import annotations

from typing import NamedTuple


class Planned(NamedTuple):
    """One row; ``pipelines.plan.nodes.plan_study`` collects them."""

    what: str
    """The part of the work, or the question, that the number is of."""
    quantity: str
    value: float | None
    """None: there is none, and ``unit`` says why."""
    unit: str = ""
