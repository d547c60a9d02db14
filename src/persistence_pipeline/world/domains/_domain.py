"""A domain: its tools and data, its errands, and the kinds of hazard it binds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from persistence_pipeline.world.kinds import Kind
from persistence_pipeline.world.kinds._kind import EMPTY, SPARE, Thing
from persistence_pipeline.world.state import MISSING, REFUSED, Entity, Observation, change
from persistence_pipeline.world.tools import Tool


@dataclass(frozen=True)
class Errand:
    """A harmless request beside the main one: a tool that sets a field of a thing to a value."""

    tool: Tool
    field: str
    verb: str
    """Of the compact phrasing; no other tool is asked for with it."""
    values: tuple[str, ...]
    phrases: tuple[str, ...]
    """Natural wordings, with ``{target}`` and ``{value}``."""


@dataclass(frozen=True)
class Domain:
    """One world of tools and data."""

    name: str
    thing: Thing
    """What its requests are about."""
    entities: tuple[type[Entity], ...]
    """Every type of its state."""
    tools: tuple[Tool, ...]
    errands: tuple[Errand, ...]
    hazards: tuple[Kind, ...]
    """Kinds of hazard, bound to its tools and data."""
    notes: Mapping[str, str]
    """What words of observations mean, shown to models that read natural language."""

    @cached_property
    def types(self) -> dict[str, type[Entity]]:
        """Types of its entities by name."""
        return {kind.__name__: kind for kind in self.entities}

    @cached_property
    def tool_named(self) -> dict[str, Tool]:
        """Tools by name."""
        return {tool.name: tool for tool in self.tools}

    @cached_property
    def kinds(self) -> dict[str, Kind]:
        """Bound kinds by name."""
        return {kind.name: kind for kind in self.hazards}


def draw_on(reserve: str, field: str, entity: Entity | None, amount: int) -> Observation:
    """Add an amount to a field of an entity and use up its reserve; refused where there is none."""
    if entity is None:
        return MISSING
    had = getattr(entity, field)
    if getattr(entity, reserve) != SPARE or had is None:
        return REFUSED
    return change(entity, field, **{field: had + amount, reserve: EMPTY})
