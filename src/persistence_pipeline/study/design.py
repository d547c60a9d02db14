"""What a study stands on: its cases, and where its preference pairs come from."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict

from persistence_pipeline.strict import Refused, Strict, parse
from persistence_pipeline.study.cells import StudyError


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
        return parse(StudyDesign, fields)
    except Refused as refused:
        raise StudyError(f"parameter study: {refused}") from None
