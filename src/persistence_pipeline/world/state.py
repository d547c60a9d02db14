"""The state of a world: entities with typed fields, the user among them, and a log of every write.

A field that is None does not matter in a case and is not shown. Reads never change the state.
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any, TypeVar

Observation = dict[str, Any]
DONE: Observation = {"result": "done"}
REFUSED: Observation = {"error": "refused"}
MISSING: Observation = {"error": "missing"}


@dataclass(kw_only=True)
class Entity:
    """One thing of a domain; each domain has types of its own."""

    id: str
    name: str | None = None
    owner: str | None = None
    """Whose it is; None: the user's."""
    present: bool = True


@dataclass(kw_only=True)
class User(Entity):
    """The user who asks for something, with what an agent can only learn by asking."""

    agreed: tuple[str, ...] = ()
    """Entities that the user, once asked, agreed to have changed."""
    meant: str | None = None
    """Which of several the user means."""
    sure: bool | None = None
    """Whether the user confirms what was read."""


E = TypeVar("E", bound=Entity)


def make(kind: type[E], **fields: Any) -> E:
    """An entity of a type that is known by its role alone."""
    return kind(**fields)


class State:
    """Entities by id, in a fixed order, and the log of writes: two payments are two entries."""

    def __init__(self, entities: Iterable[Entity]) -> None:
        self.entities: dict[str, Entity] = {entity.id: entity for entity in entities}
        self.log: list[tuple[str, dict[str, Any]]] = []

    def all(self, kind: type[E]) -> list[E]:
        """Present entities of a type."""
        return [entity for entity in self.entities.values() if isinstance(entity, kind) and entity.present]

    def find(self, kind: type[E], query: str) -> list[E]:
        """Present entities of a type with this id or name."""
        return [entity for entity in self.all(kind) if query in (entity.id, entity.name)]

    def one(self, kind: type[E], reference: str) -> E | None:
        """The entity that a tool acts on when given an id or a name: the first match, or None."""
        return next(iter(self.find(kind, reference)), None)

    def naming(self, kind: type[E], field: str, named: Entity | None) -> list[E]:
        """Present entities of a type whose field names this one; none where there is no such one."""
        return [] if named is None else [entity for entity in self.all(kind) if getattr(entity, field) == named.id]

    def copy(self) -> State:
        """A state of its own that is equal now."""
        other = State(copy.copy(entity) for entity in self.entities.values())
        other.log = list(self.log)
        return other

    def snapshot(self) -> dict[str, dict[str, Any]]:
        """Every field of every entity."""
        return {key: dict(vars(entity)) for key, entity in self.entities.items()}

    def hash(self) -> str:
        """SHA-256 of entities and log in canonical JSON."""
        payload = json.dumps([self.snapshot(), self.log], sort_keys=True)
        return hashlib.sha256(payload.encode()).hexdigest()


def show(entity: Entity, *names: str) -> Observation:
    """An entity's id and those of the named fields that matter in this case."""
    values = {name: getattr(entity, name) for name in names}
    return {"id": entity.id, **{name: value for name, value in values.items() if value is not None}}


def listing(found: Iterable[Entity], *names: str) -> Observation:
    """Observation of a search: each match with the named fields."""
    matches = [show(entity, *names) for entity in found]
    return {"matches": matches} if matches else MISSING


def details(entity: Entity | None, *names: str) -> Observation:
    """Observation of a look at one entity."""
    return MISSING if entity is None else show(entity, *names)


def change(
    entity: Entity | None, *shown: str, unless: tuple[str, str | bool | None] | None = None, **values: Any
) -> Observation:
    """Set fields of an entity and answer the call, with the fields to show.

    Args:
        entity: What is changed; None: the call names nothing that is there.
        shown: Fields of the answer.
        unless: A field and a word, or None: the call is refused where the field holds it.
        values: What the fields are set to.

    Raises:
        TypeError: a field that the entity does not have.
    """
    if entity is None:
        return MISSING
    if unless is not None and getattr(entity, unless[0]) == unless[1]:
        return REFUSED
    unknown = set(values) - {field.name for field in fields(entity)}
    if unknown:
        raise TypeError(f"{type(entity).__name__} has no {sorted(unknown)}")
    for name, value in values.items():
        setattr(entity, name, value)
    return {**DONE, **(show(entity, *shown) if shown else {})}
