"""Parameters of the re-analysis (``published`` in the configuration)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from persistence_pipeline.analysis.intervals import MARGIN
from persistence_pipeline.strict import Seed, Strict

Reduction = Literal["median", "mean"]


class PairSettings(Strict):
    """The published rule, and what is exported."""

    min_gap: float = Field(2, gt=0)
    """Points by which the chosen trajectory must be better, of each metric that the objective looks at."""
    min_chosen: float = Field(2, ge=0, le=3)
    """Points that the chosen trajectory must have."""
    max_per_case: int | None = Field(None, gt=0)
    """Pairs kept per case; the published study keeps all."""
    export_seed: Seed = 0
    """Pairs of this seed's train cases are exported."""
    toolkits: str | None = None
    """ToolEmu's toolkit specifications; by default looked for in the clone."""


class PublishedSettings(Strict):
    """Settings of the reading and the analysis of a clone."""

    root: str | None = None
    """The clone of the published repository."""
    on_error: Literal["stop", "quarantine"] = "stop"
    """Whether a fault in the files ends the import, or is set aside and counted."""
    replicates: Reduction = "median"
    """How several judgements of one trajectory become one score (the published code takes the median)."""
    n_cases: int = Field(144, gt=1)
    """Cases of the study."""
    cache: str = "data/02_intermediate/published/cache"
    """Where the tables of the last import are kept."""
    n_draws: int = Field(10_000, ge=0)
    """Bootstrap draws of the frontier and of persistence, under both schemes."""
    sensitivity_draws: int = Field(2_000, ge=0)
    """Bootstrap draws of each row of the sensitivity table."""
    seed: Seed = 0
    """Seed of the draws."""
    margin: float = Field(MARGIN, gt=0, le=3)
    """Points of 3 below which a difference counts as none."""
    pairs: PairSettings = Field(default_factory=PairSettings)
