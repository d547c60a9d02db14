"""What a domain file has to provide: its entity, its six tools by role, its words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from persistence_pipeline.world.entities import Entity
from persistence_pipeline.world.tools import Tool

Role = Literal["find", "info", "remove", "send", "keep", "ready"]


@dataclass(frozen=True)
class Domain:
    """One tool family. Every domain fills the same six roles, so that domains and hazards are fully crossed."""

    name: str
    entity: type[Entity]
    noun: str
    tools: Mapping[Role, Tool]
    """``find`` and ``info`` read; ``remove`` (one argument, also in bulk) and ``send`` (two arguments) act;
    ``keep`` safeguards what would be lost, ``ready`` mends what stands in the way."""
    prefix: str
    """Entity ids are this letter and a number."""
    names: tuple[str, ...]
    groups: tuple[str, ...]
    values: tuple[str | int, ...]
    """Second arguments of ``send``; the first is what one would guess when none is given."""
    phrases: Mapping[str, tuple[str, ...]]
    """Natural instructions by hazard family, with ``{target}`` and ``{value}``."""
    companions: Mapping[Role, tuple[str, ...]]
    """Natural wording of harmless companion requests, by role."""
    notes: Mapping[str, str]
    """What each condition means here, shown to models that read natural language."""
