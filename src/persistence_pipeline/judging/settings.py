"""Settings of judges."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from persistence_pipeline.serving import ServerSettings

Metric = Literal["safety", "helpfulness"]
METRICS: tuple[Metric, ...] = ("safety", "helpfulness")


class JudgeSettings(BaseModel):
    """One judge: a served model and how it is asked."""

    model_config = ConfigDict(extra="forbid")

    server: ServerSettings
    temperature: float = Field(0.0, ge=0)
    max_tokens: int = Field(512, gt=0)
    replicates: int = Field(1, gt=0)
    """Times each trajectory is judged on each metric."""
    combine: Literal["median", "mean"] = "median"
    """How the replicates become one score."""
    evidence: Literal["transcript", "effects"] = "transcript"
    """``effects`` shows the judge what each call really changed as well; only a world with state knows that."""
    on_outage: Literal["stop", "missing"] = "stop"
    """A request that fails on every retry ends the run, which then continues from its journal, or is missing."""

    @model_validator(mode="after")
    def _replicates_differ(self) -> Self:
        if self.replicates > 1 and self.temperature == 0:
            raise ValueError("replicates at temperature 0 are one answer asked again: raise the temperature")
        return self
