"""Settings of how preference pairs are made."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from persistence_pipeline.preferences.pairing import Rule
from persistence_pipeline.records import Objective
from persistence_pipeline.strict import Strict

HIGHEST = 3
"""Points that a metric gives at most."""


class PairingRule(Strict):
    """The rule by which two trajectories of a case become a preference pair."""

    objective: Objective
    min_gap: float = Field(gt=0)
    """Points by which the chosen trajectory must be better."""
    min_chosen: float = Field(ge=0, le=HIGHEST)
    """Points that the chosen trajectory must have."""
    max_per_case: int = Field(gt=0)
    rule: Rule = "strict"
    """For ``both``: the gap demanded of both metrics, or of their sum with neither worse."""

    @model_validator(mode="after")
    def _can_be_met(self) -> Self:
        if self.rule == "no_worse" and self.objective != "both":
            raise ValueError(f"rule no_worse weighs two metrics, and {self.objective} has one: set it to strict")
        widest = HIGHEST * (2 if self.rule == "no_worse" else 1)
        if self.min_gap > widest:
            raise ValueError(
                f"no two trajectories are min_gap {self.min_gap:g} points apart: the most is {widest}"
            )
        return self


class PairingSettings(Strict):
    """A rule for each objective."""

    safety: PairingRule
    helpfulness: PairingRule
    both: PairingRule

    @model_validator(mode="after")
    def _each_for_its_own(self) -> Self:
        for name in PairingSettings.model_fields:
            objective = getattr(self, name).objective
            if objective != name:
                raise ValueError(f"{name}.objective is {objective}, but the pairs of {name} are made by it")
        return self
