"""The tool world's state in plain words: things, their fields, what changed and what was to be.

Nothing here grades. Fields are named as a reader would say them; what has no word of its own keeps its name.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from persistence_pipeline.records import Effect
from persistence_pipeline.world.cases import USER, Case, Clause, Goal, Harm, Test
from persistence_pipeline.world.domains import DOMAINS

FLAGS = {
    "present": ("there", "gone"),
    "on": ("running", "off"),
    "up": ("running", "stopped"),
    "primed": ("primed", "not primed"),
    "draft": ("drafted", "not drafted"),
}
"""Fields that are true or false, with what a thing is then."""
NOUNS = {
    "bookings": "number of bookings",
    "calls": "server that it calls",
    "copies": "copy on record",
    "holder": "holder of the room",
    "inside": "occupant",
    "left": "rest",
    "links": "file that it takes content from",
    "meant": "one that the user means",
    "needs": "what it needs first",
    "on": "state",
    "ordered": "ordered amount",
    "ousted": "party that lost the room",
    "paid": "paid amount",
    "people": "number of people",
    "present": "presence",
    "received": "received amount",
    "saved": "version in the vault",
    "seats": "number of seats",
    "signed": "author of the note",
    "up": "state",
    "used": "use",
    "wants": "room on record",
}
"""Fields whose name alone would not be understood."""
OPERATORS = {"is": "is", "is not": "is not", "below": "is below", "above": "is above"}


def noun(field: str) -> str:
    """A field as a reader says it."""
    return NOUNS.get(field, field.replace("_", " "))


def value(given: Any) -> str:
    """A value of a field in words."""
    if isinstance(given, bool):
        return "yes" if given else "no"
    if isinstance(given, (list, tuple)):
        return ", ".join(map(str, given)) or "nothing"
    return "nothing" if given in (None, "") else str(given)


def flag(field: str, given: Any) -> str | None:
    """What a thing is whose field is true or false; None of any other field or value."""
    return FLAGS[field][not given] if field in FLAGS and isinstance(given, bool) else None


def changed(field: str, before: Any, after: Any) -> str:
    """What a field was and what it is."""
    old, new = flag(field, before), flag(field, after)
    if old and new:
        return f"{old} before, {new} now"
    return f"{noun(field)} was {value(before)}, is {value(after)}"


def effect_words(effect: Effect) -> dict[str, Any]:
    """What a call changed, and what was known at it of what matters."""
    changes = [
        f"{change.entity}: {changed(change.field, change.before, change.after)}" for change in effect.changes
    ]
    return {"changes": changes, "knew": {_fact(fact): value(known) for fact, known in effect.knew.items()}}


def _fact(fact: str) -> str:
    entity, _, field = fact.partition(".")
    return fact_words(field, [entity])


def fact_words(field: str, things: Sequence[str]) -> str:
    """A fact of things, named as they are to be named."""
    if list(things) == [USER]:
        return {"agreed": "whether the user agrees", "meant": "which one the user means"}.get(field, noun(field))
    return f"{noun(field)} of {', '.join(things)}"


class Things:
    """The things of a case, and what is said of them."""

    def __init__(self, case: Case) -> None:
        self._kinds = {str(fields["id"]): fields for fields in case.entities}
        self._notes = DOMAINS[case.domain].notes

    def name(self, entity: str) -> str:
        """What a thing is, with its id and, where it has one, its name."""
        fields = self._kinds.get(entity)
        if entity == USER or fields is None:
            return "the user" if entity == USER else entity
        called = f" “{fields['name']}”" if fields.get("name") else ""
        return f"{str(fields['type']).lower()} {entity}{called}"

    def explained(self, given: Any) -> str:
        """A value with what it means, where the world has a note of it."""
        note = self._notes.get(given) if isinstance(given, str) else None
        return value(given) + (f" ({note[0].lower()}{note[1:].rstrip('.')})" if note else "")

    def state(self, field: str, given: Any) -> str:
        """What a field of a thing is that was just named."""
        word = flag(field, given)
        return f"it is {word}" if word else f"{noun(field)} is {self.explained(given)}"

    def said(self, test: Test, named: str) -> str:
        """A test that holds; ``named`` is the thing that was just named."""
        own = "" if test.entity == named else self.name(test.entity)
        if test.op in ("has", "lacks"):
            agreed = "agreed" if test.op == "has" else "not agreed"
            return f"the user has {agreed} to {'it' if test.value == named else test.value}"
        word = flag(test.field, test.value if test.op == "is" else not test.value)
        if word and test.op in ("is", "is not"):
            return f"{own or 'it'} is {word}"
        subject = f"{noun(test.field)} of {own}" if own else noun(test.field)
        shown = self.explained(test.value) if test.op == "is" else value(test.value)
        return f"{subject} {OPERATORS[test.op]} {shown}"

    def clause(self, clause: Clause) -> str:
        """Tests that hold together, by thing."""
        by_thing: dict[str, list[str]] = {}
        for test in clause:
            by_thing.setdefault(test.entity, []).append(self.said(test, test.entity))
        return "; ".join(f"{self.name(entity)}: {', '.join(words)}" for entity, words in by_thing.items())

    def goal(self, goal: Goal) -> str:
        """What was asked for."""
        return ", or ".join(self.clause(clause) for clause in goal.any_of)

    def spared(self, harm: Harm) -> str:
        """What would have been no harm: its first test not true, as long as the others are."""
        first, *rest = harm.all_of
        words = f"{self.name(first.entity)}: {self._kept(first, harm.at_the_end)}"
        conditions = " and ".join(self.said(test, first.entity) for test in rest)
        return words + (f", as long as {conditions}" if rest else "")

    def _kept(self, test: Test, at_the_end: bool) -> str:
        word = flag(test.field, test.value if test.op == "is not" else not test.value)
        if word and test.op in ("is", "is not"):
            return f"it stays {word}"
        shown = f"{noun(test.field)} {{}} {value(test.value)}"
        match test.op:
            case "is not":
                return shown.format("stays")
            case "below":
                return f"{shown.format('stays')} or more"
            case "above":
                return f"{shown.format('stays')} or less"
        return shown.format("is not") + (" at the end" if at_the_end else "")

    def facts(self, facts: Sequence[str]) -> str:
        """Facts, ``<entity>.<field>`` each, in words; those of one field together."""
        by_field: dict[tuple[str, bool], list[str]] = {}
        for fact in facts:
            entity, _, field = fact.partition(".")
            shown = USER if entity == USER else self.name(entity)
            by_field.setdefault((field, entity == USER), []).append(shown)
        return ", ".join(fact_words(field, things) for (field, _), things in by_field.items())
