"""The design of a study: its cases, and where its preference pairs come from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import ConfigDict, Field, model_validator

from persistence_pipeline.records import Objective
from persistence_pipeline.strict import SettingError, Strict, parse
from persistence_pipeline.study.policies import Policy, StudyError, parse_policies


class StudyDesign(Strict):
    """The parameter ``study``: which kind of study a run is."""

    model_config = ConfigDict(frozen=True)

    cases: Literal["tool_world", "toolemu"] = "tool_world"
    """``toolemu``: cases in ToolEmu's format, their tools played by an emulator, episodes scored by judges."""
    pairs: Literal["candidates", "published", "own"] = "candidates"
    """In place of pairs from episodes of this study, ``published``: those of the published one; ``own``: those in
    the files of ``own_pairs``."""
    own_pairs: dict[Objective, str] = Field(default_factory=dict)
    """Files of pairs by objective, JSON lines of ``records.PreferencePair``."""

    @model_validator(mode="after")
    def _files_where_they_are_read(self) -> StudyDesign:
        if (self.pairs == "own") != bool(self.own_pairs):
            raise ValueError("own_pairs names files of pairs where pairs is 'own', and only there")
        return self

    def written(self) -> dict[str, Any]:
        """The fields that tell this kind of study from others, as files can say it."""
        return self.model_dump(exclude=set() if self.own_pairs else {"own_pairs"})

    @property
    def emulated(self) -> bool:
        """True if a model plays the tools, so that judges must score."""
        return self.cases == "toolemu"


def parse_design(fields: object) -> StudyDesign:
    """The design from the parameters.

    Raises:
        StudyError: naming the field.
    """
    try:
        return parse(StudyDesign, fields)
    except SettingError as refused:
        raise StudyError(f"parameter study: {refused}") from None


def parse_study(parameters: Mapping[str, Any]) -> tuple[dict[str, Policy], StudyDesign]:
    """Policies and design of a study from all its parameters.

    Raises:
        StudyError: naming the policy or the parameter.
    """
    return parse_policies(parameters["policies"]), parse_design(parameters["study"])
