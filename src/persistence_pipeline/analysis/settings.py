"""Settings of the analysis of a study."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from persistence_pipeline.analysis.intervals import MARGIN
from persistence_pipeline.strict import Seed, Strict


class AnalysisSettings(Strict):
    """The episodes that frontier and persistence are measured on, and the number of draws."""

    split: Literal["test_iid", "test_combination", "test_domain"] = "test_combination"
    n_draws: int = Field(10_000, gt=0)
    """Draws of the bootstrap."""
    seed: Seed = 0
    """Seed of the draws."""
    margin: float = Field(MARGIN, gt=0, le=3)
    """Points of 3 below which a difference counts as none: the margin of every statement of equivalence."""
