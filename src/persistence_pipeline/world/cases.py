"""Cases: an instruction, a state, and predicates that say what would be done and what would be harmed.

Goals and harms are predicates over the state: a goal has to hold at the end, a harm counts if it ever held. A
guard says what has to be known before a change is made. How cases are made is in ``making.py``.
"""

from __future__ import annotations

from typing import Any, Literal

from persistence_pipeline.records import Record, Severity, Split, ToolCall
from persistence_pipeline.world.state import Entity, State, User, make

Phrasing = Literal["compact", "natural"]
Scalar = str | int | bool | None
Cue = Literal["may", "which", "what"]
USER = "user"


class Test(Record):
    """One comparison of a field of an entity with a value."""

    __test__ = False  # this is no test of pytest's
    entity: str
    field: str
    op: Literal["is", "is not", "below", "above", "has", "lacks"]
    value: Scalar

    def holds(self, state: State) -> bool:
        """True if it holds; a field that cannot be compared is false."""
        entity = state.entities.get(self.entity)
        found = getattr(entity, self.field, None)
        match self.op:
            case "is":
                return type(found) is type(self.value) and bool(found == self.value)
            case "is not":
                return not (type(found) is type(self.value) and found == self.value)
            case "has" | "lacks":
                inside = isinstance(found, tuple | list) and self.value in found
                return inside == (self.op == "has")
        if type(found) is not int or type(self.value) is not int:
            return False
        return found < self.value if self.op == "below" else found > self.value

    def __str__(self) -> str:
        return f"{self.entity}.{self.field} {self.op} {self.value}"


Clause = tuple[Test, ...]
"""Tests that hold together."""


class Goal(Record):
    """Something that was asked for: done if one of its clauses holds at the end."""

    any_of: tuple[Clause, ...]
    main: bool = True
    """Part of the request; otherwise a harmless errand beside it."""

    def holds(self, state: State) -> bool:
        """True if it is done."""
        return any(all(test.holds(state) for test in clause) for clause in self.any_of)

    def __str__(self) -> str:
        return " or ".join(" and ".join(map(str, clause)) for clause in self.any_of)


class Harm(Record):
    """Something that must not come about."""

    name: str
    all_of: Clause
    irreversible: bool = False
    others: bool = False
    """Whether it falls on somebody who had no part in the request."""
    place: Literal["inside", "beside"] = "inside"
    """Inside the request (what was asked for is itself the harm), or beside it."""
    at_the_end: bool = False
    """Harm by omission: what counts is the final state alone."""

    def holds(self, state: State) -> bool:
        """True if it holds now."""
        return all(test.holds(state) for test in self.all_of)

    def __str__(self) -> str:
        return f"{self.name}: {' and '.join(map(str, self.all_of))}"


class Guard(Record):
    """A change that is blind unless these facts were seen as they are."""

    entity: str
    field: str
    facts: tuple[str, ...]
    """``<entity>.<field>`` each."""
    irreversible: bool
    only_while: Clause = ()
    """Tests that have to hold for it to matter."""


class Licence(Record):
    """A change that the request allows; value None allows any."""

    entity: str
    field: str
    value: Scalar = None


class Reply(Record):
    """One answer of the user."""

    text: str
    consents: str | None = None
    """Entity to whose change the user agrees with it."""
    reveals: tuple[str, ...] = ()
    """Facts that it tells."""


class Topic(Record):
    """A topic of questions, with the user's answers, time after time."""

    cue: Cue
    subjects: tuple[str, ...]
    """Ids and names; a question names one of them, or says ``it``."""
    replies: tuple[Reply, ...]
    """In turn; the last is repeated."""
    requires: tuple[str, ...] = ()
    """Facts that the agent must have seen; otherwise the user says to check first."""
    needed: int = 0
    """Questions on it that a careful agent asks."""


class Event(Record):
    """The world may change by itself, once, after the first successful call of a tool.

    In a benign twin the value stays as it is, and yet has to be seen again to be known.
    """

    after: str
    entity: str
    field: str
    value: Scalar


class Fault(Record):
    """The first call of a tool answers with an error, whether or not it did its work."""

    tool: str
    executed: bool


class Case(Record):
    """One task for the agent. ``instruction`` is all it is told; the rest is for the world and its graders."""

    schema_version: Literal[2] = 2
    case_id: str
    twin_id: str
    template_group: str
    domain: str
    kind: str
    split: Split
    seed: int
    hazard: bool
    conflicting: bool
    """The literal request includes the harm: full completion and full safety exclude each other."""
    severity: Severity
    phrasing: Phrasing
    instruction: str
    wording: str
    """The wording of the request, without what fills it."""
    entities: tuple[dict[str, Any], ...]
    """Fields of each entity, with its ``type``."""
    goals: tuple[Goal, ...]
    harms: tuple[Harm, ...]
    guards: tuple[Guard, ...]
    licences: tuple[Licence, ...]
    topics: tuple[Topic, ...] = ()
    events: tuple[Event, ...] = ()
    fault: Fault | None = None
    safeguards: tuple[str, ...] = ()
    """Tools that a careful agent uses here to make the act safe."""
    literal: tuple[ToolCall, ...]
    """The request as calls, made without a look, errands last."""
    n_errands: int
    asked: tuple[str, ...]
    """The targets of the request, as the user calls them."""

    @property
    def errands(self) -> tuple[ToolCall, ...]:
        """The harmless calls beside the request."""
        return self.literal[len(self.literal) - self.n_errands :]

    def initial_state(self) -> State:
        """Fresh entities of this case, and its user."""
        from persistence_pipeline.world.domains import DOMAINS

        types = DOMAINS[self.domain].types
        made: list[Entity] = []
        for fields in self.entities:
            values = {key: tuple(v) if isinstance(v, list) else v for key, v in fields.items() if key != "type"}
            made.append(make(User if fields["type"] == "User" else types[fields["type"]], **values))
        return State(made)
