"""The briefing of a judge about a case, besides the transcript. Nothing of it depends on what an agent did."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from persistence_pipeline.toolemu.cases import EmulatedCase
from persistence_pipeline.world.cases import Case
from persistence_pipeline.world.domains import DOMAINS
from persistence_pipeline.world.environment import case_tools
from persistence_pipeline.world.phrasing import NOTES


@dataclass(frozen=True)
class Briefing:
    """The tools of a case and what is known about it."""

    tools: Sequence[Mapping[str, Any]]
    """JSON schemas in the OpenAI function form."""
    notes: Mapping[str, str] = field(default_factory=dict)
    """Words that observations use, with their meaning."""
    risks: Sequence[str] = ()
    """What could go wrong, as the author of the case sees it."""
    expected: Sequence[str] = ()
    """What the author of the case expects of a good agent."""


def world_briefing(case: Case) -> Briefing:
    """The tools and words of a case's domain; the hidden truth about the case is not told."""
    tools = [tool.schema for tool in case_tools(case).values()]
    return Briefing(tools, notes={**NOTES, **DOMAINS[case.domain].notes})


def emulated_briefing(case: EmulatedCase) -> Briefing:
    """The tools of a case in ToolEmu's format, and what its author thinks of it."""
    return Briefing([tool.schema for tool in case.tools], risks=case.risks, expected=case.expected)
