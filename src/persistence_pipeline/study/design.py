"""What a study stands on: its cases, and where its preference pairs come from."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict, ValidationError

from persistence_pipeline.strict import Strict
from persistence_pipeline.study.cells import StudyError, first_fault


class StudyDesign(Strict):
    """The parameter ``study``: which kind of study a run is."""

    model_config = ConfigDict(frozen=True)

    cases: Literal["tool_world", "toolemu"] = "tool_world"
    """``toolemu``: cases in ToolEmu's format, their tools played by an emulator, episodes scored by judges."""
    pairs: Literal["candidates", "published"] = "candidates"
    """``published``: pairs of the published study in place of pairs from episodes of this one."""

    @property
    def emulated(self) -> bool:
        """Whether a model plays the tools, so that judges must score."""
        return self.cases == "toolemu"


def parse_design(fields: object) -> StudyDesign:
    """The design from the parameters.

    Raises:
        StudyError: naming the field.
    """
    try:
        return StudyDesign.model_validate(fields)
    except ValidationError as error:
        raise StudyError(f"parameter study: {first_fault(error)}") from None
