"""Settings of judges."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from persistence_pipeline.llm_client import ServerSettings
from persistence_pipeline.records import Split
from persistence_pipeline.strict import FileName, Seed, Strict


class JudgingError(ValueError):
    """A judge that is needed is not named."""


class JudgeSettings(Strict):
    """One judge: a served model and how it is asked."""

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


class JudgingSettings(Strict):
    """The judges, what they judge and what they are calibrated on."""

    judges: dict[FileName, JudgeSettings]
    """By name; the name is the ``evaluator`` of their scores. None, until a user names one."""
    pairs_by: str | None = None
    """The judge whose scores order preference pairs, in a study on ToolEmu's cases; None: the only one."""
    splits: list[Split]
    max_cases: int | None = Field(None, gt=0)
    """Cases of each split and seed that are judged, twins together; None: all."""
    calibrate_on: list[Split]
    n_draws: int = Field(2_000, gt=0)
    seed: Seed = 0
    journals: str
    """Folder of the journals, from which an interrupted run continues."""

    @field_validator("judges")
    @classmethod
    def _named(cls, judges: dict[str, JudgeSettings]) -> dict[str, JudgeSettings]:
        if "state" in judges:
            raise ValueError("state is the name of the state graders")
        return judges

    def for_pairs(self) -> JudgingSettings:
        """The same with the one judge of the candidates alone.

        Raises:
            JudgingError: it is not among the judges, or there are several and none is named.
        """
        name = self.pairs_by or next(iter(self.judges), "")
        if name not in self.judges or (self.pairs_by is None and len(self.judges) > 1):
            known = ", ".join(self.judges) or "none: name one under judging.judges (docs/judging.md)"
            raise JudgingError(f"judging.pairs_by: name the judge whose scores order the pairs; judges: {known}")
        return self.model_copy(update={"judges": {name: self.judges[name]}})

    @model_validator(mode="after")
    def _calibrated_on_what_is_judged(self) -> Self:
        unjudged = [split for split in self.calibrate_on if split not in self.splits]
        if unjudged or not self.calibrate_on:
            raise ValueError(f"calibrate_on names splits that are not judged: {unjudged or 'it is empty'}")
        return self
