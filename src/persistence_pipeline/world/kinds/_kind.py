"""Parts of every kind of hazard: what a request is about, draws that twins share, and the draft of a case."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from persistence_pipeline.records import ToolCall
from persistence_pipeline.world.cases import (
    Case,
    Clause,
    Event,
    Fault,
    Goal,
    Guard,
    Harm,
    Licence,
    Scalar,
    Test,
    Topic,
)
from persistence_pipeline.world.state import Entity, Observation, make
from persistence_pipeline.world.tools import Tool

Variant = Literal["benign", "mendable", "conflicting"]
Script = Generator[ToolCall, Observation, None]
Found = Generator[ToolCall, Observation, Any]
ID_NUMBERS = range(1, 10)
SPARE, EMPTY = "spare", "empty"
"""Whether there is a reserve to draw on."""


def call(tool: Tool, *values: Any) -> ToolCall:
    """A call of a tool, with values in the order of its parameters."""
    return ToolCall(name=tool.name, arguments=dict(zip(tool.parameters, values, strict=True)))


@dataclass(frozen=True)
class Act:
    """The errand of a domain's requests."""

    tool: Tool
    field: str
    """What it sets on its target."""
    before: Scalar
    after: Scalar
    """What it sets it to; None: to its second argument."""
    value: str | None
    """Field of the target in which the second argument stands, for tools that take one."""
    verb: str
    """Of the compact phrasing."""
    phrases: tuple[str, ...]
    """Natural wordings, with ``{target}``."""

    def on(self, target: str, value: Any = None) -> ToolCall:
        """The call."""
        return call(self.tool, target, *(() if self.value is None else (value,)))

    def done(self, target: str, value: Scalar = None) -> Test:
        """True once it was done, with this value."""
        return Test(entity=target, field=self.field, op="is", value=value if self.after is None else self.after)

    def touched(self, target: str) -> Test:
        """True once it was done, with whatever value."""
        return Test(entity=target, field=self.field, op="is not", value=self.before)


@dataclass(frozen=True)
class Thing:
    """The subject of a domain's requests, and how it is found, looked at and acted on."""

    type: type[Entity]
    prefix: str
    """Ids are this letter and a digit."""
    names: tuple[str, ...]
    find: Tool
    """Ids and names of those with a name."""
    look: Tool
    """What is known about one."""
    act: Act
    extras: Callable[[Pick], dict[str, Any]] = lambda pick: {}
    """Fields that the act needs of a target, where the kind of hazard does not fill them."""


class Pick:
    """Seeded draws; twins draw alike as long as they draw in the same order."""

    def __init__(self, seed: str, thing: Thing) -> None:
        self.rng = random.Random(seed)
        self._free: dict[str, list[str]] = {}
        self.names = self.rng.sample(thing.names, len(thing.names))
        self.named = self.rng.random() < 0.5
        """Whether the user calls the target by its name."""

    def id(self, prefix: str) -> str:
        """An id that no other entity of the case has."""
        if prefix not in self._free:
            self._free[prefix] = [f"{prefix}{n}" for n in self.rng.sample(ID_NUMBERS, len(ID_NUMBERS))]
        return self._free[prefix].pop()

    def tens(self, low: int, high: int) -> int:
        """A multiple of ten, both ends included."""
        return 10 * self.rng.randint(low // 10, high // 10)

    def flip(self) -> bool:
        """Heads or tails."""
        return self.rng.random() < 0.5


@dataclass
class Draft:
    """A kind's part of a case."""

    asked: list[str]
    """Targets, as the user calls them."""
    entities: list[Entity]
    goals: list[Goal]
    literal: list[ToolCall]
    harms: list[Harm] = field(default_factory=list)
    guards: list[Guard] = field(default_factory=list)
    licences: list[Licence] = field(default_factory=list)
    topics: list[Topic] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    fault: Fault | None = None
    safeguards: Sequence[Tool] = ()
    """Needed to make the act safe in this variant."""
    user: dict[str, Any] = field(default_factory=dict)
    """Hidden fields of the user."""


@dataclass(frozen=True)
class Kind(ABC):
    """One kind of hazard, bound to a domain's thing; subclasses add the roles they need."""

    name: ClassVar[str]
    asks_by_name: ClassVar[bool | None] = None
    """Whether its requests name their target: None: half of them."""
    thing: Thing

    @abstractmethod
    def draft(self, pick: Pick, variant: Variant) -> Draft:
        """One case; every variant draws alike, so that twins differ only in what they have to differ in."""

    @abstractmethod
    def careful(self, case: Case) -> Script:
        """The way of a careful agent with the request, errands apart."""

    # -- parts that kinds share ----------------------------------------------------------------

    def target(self, pick: Pick, **fields: Any) -> Entity:
        """The thing that the request is about."""
        return make(self.thing.type, id=pick.id(self.thing.prefix), name=pick.names[0], **fields)

    def other(self, pick: Pick, **fields: Any) -> Entity:
        """A thing of another name."""
        return make(self.thing.type, id=pick.id(self.thing.prefix), name=pick.rng.choice(pick.names[1:]), **fields)

    def called(self, pick: Pick, entity: Entity) -> str:
        """The user's word for it."""
        return str(entity.name) if pick.named else entity.id

    def value_of(self, thing: Entity) -> Any:
        """The act's second argument for a thing; None where it takes none."""
        return getattr(thing, self.thing.act.value or "", None)

    def locate(self, reference: str) -> Found:
        """The id of what the user calls so; None where nothing or several things are called so."""
        if reference not in self.thing.names:
            return reference
        matches = (yield call(self.thing.find, reference)).get("matches", [])
        return matches[0]["id"] if len(matches) == 1 else None

    def look(self, target: str) -> Found:
        """A look at the thing: the call and what it shows."""
        return (yield call(self.thing.look, target))

    def carry_out(self, target: str, seen: Observation) -> Script:
        """The act, with the value that a look showed; nothing where it showed none."""
        value = seen.get(self.thing.act.value or "")
        if self.thing.act.value is None or value is not None:
            yield self.thing.act.on(target, value)

    def guard(self, target: str, *facts: tuple[str, str], irreversible: bool, only_while: Clause = ()) -> Guard:
        """Acting on the target is blind unless these fields were seen, as long as the tests hold."""
        seen = tuple(f"{entity}.{name}" for entity, name in facts)
        field = self.thing.act.field
        return Guard(entity=target, field=field, facts=seen, irreversible=irreversible, only_while=only_while)

    def guard_while_linked(self, target: str, other: str, fact: str, link: str) -> Guard:
        """Acting on the target is blind unless a fact of another was seen, as long as that is linked to it."""
        linked = Test(entity=other, field=link, op="is", value=target)
        return self.guard(target, (other, fact), irreversible=True, only_while=(linked,))
