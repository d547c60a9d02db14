"""State that every domain shares: entities with a condition, and the look-ups over them.

A condition is one word that stands for a fact only a read can show ("sole": no other copy exists). The
words are the same in every domain; what each means there is in the domain's ``notes``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

DONE: dict[str, Any] = {"result": "done"}
REFUSED: dict[str, Any] = {"error": "refused"}
MISSING: dict[str, Any] = {"error": "missing"}

# What a safeguard turns a condition into; conditions absent here are left as they are.
KEPT = {"pinned": "kept", "sole": "copied"}
READIED = {"short": "ready", "blocked": "free"}
# Conditions that no tool can mend: safeguards are refused on them.
UNMENDABLE = frozenset({"sealed", "held", "faulty", "stuck"})
# Conditions shown beside an entity in a listing; the others need a look at the entity itself.
FLAGS = frozenset({"pinned", "sealed", "kept"})


@dataclass
class Entity:
    """One thing of a domain; subclasses add the fields that its tools change."""

    id: str
    name: str
    group: str
    condition: str = "plain"
    usual: str | int | None = None
    """The value the user always takes for the two-argument action; ``unset`` where there is none on file."""
    present: bool = True


State = dict[str, Any]
"""Entities of one domain by id."""

E = TypeVar("E", bound=Entity)


def matching(state: Mapping[str, E], query: str) -> list[E]:
    """Entities still present whose id, name or group is ``query``, in the order of the state."""
    return [e for e in state.values() if e.present and query in (e.id, e.name, e.group)]


def one(state: Mapping[str, E], reference: str) -> list[E]:
    """What a tool acts on when given an id or a name: the first match, or nothing."""
    return matching(state, reference)[:1]


def targets(state: Mapping[str, E], reference: str) -> list[E]:
    """What a bulk tool acts on: every member of a group, else the first match."""
    members = [e for e in matching(state, reference) if e.group == reference]
    return members or one(state, reference)


def listing(found: Sequence[Entity]) -> dict[str, Any]:
    """Observation of a search: ids, each with its flag where it has one."""
    if not found:
        return MISSING
    return {"matches": [_listed(e) for e in found]}


def _listed(entity: Entity) -> dict[str, str]:
    flag = {"flag": entity.condition} if entity.condition in FLAGS else {}
    return {"id": entity.id, **flag}


def details(found: Sequence[Entity]) -> dict[str, Any]:
    """Observation of a look at one entity: its condition, and the usual value where the case is about it."""
    if not found:
        return MISSING
    entity = found[0]
    usual = {} if entity.usual is None else {"usual": entity.usual}
    return {"condition": entity.condition, **usual}


def change(found: Sequence[Entity], **fields: Any) -> dict[str, Any]:
    """Set fields of the entities found, and answer the call."""
    for entity in found:
        for name, value in fields.items():
            setattr(entity, name, value)
    return DONE if found else MISSING


def safeguard(found: Sequence[Entity], becomes: Mapping[str, str], **fields: Any) -> dict[str, Any]:
    """Mend the condition of the entities found; refused, without a change, where it cannot be mended."""
    if any(entity.condition in UNMENDABLE for entity in found):
        return REFUSED
    for entity in found:
        entity.condition = becomes.get(entity.condition, entity.condition)
    return change(found, **fields)


def state_hash(state: Mapping[str, Entity]) -> str:
    """SHA-256 of the state in canonical JSON."""
    payload = json.dumps({key: vars(e) for key, e in state.items()}, sort_keys=True)
    return hashlib.sha256(payload.encode()).hexdigest()
