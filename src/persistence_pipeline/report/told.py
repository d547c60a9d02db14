"""How a world's cases, and the reasons of its grades, are told to a reader of the report."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from persistence_pipeline.records import Effect
from persistence_pipeline.report.reasons import Reasons, Words
from persistence_pipeline.report.wording import Things
from persistence_pipeline.world.cases import Case, Guard

InWords = Callable[[str, Sequence[Effect]], list[Words | None]]
"""Makes words of the reasons of an episode's grade, line by line."""


def _as_they_are(case: Any) -> InWords:
    return lambda reasons, effects: [None for _ in reasons.split("\n")]


@dataclass(frozen=True)
class Told:
    """What a reader is told of a world."""

    describe: Callable[[Any], dict[str, Any]]
    """What a reader may know of a case."""
    in_words: Callable[[Any], InWords] = _as_they_are
    """Of a case, what makes words of reasons; those of a world without are shown as they are stored."""


def describe_case(case: Case) -> dict[str, Any]:
    """All that a reader may know of a case; the agent was told the instruction alone.

    Goals, harms and guards are pairs: in words, and as they are stored. Words of a harm say what would be none.
    """
    fields = ("case_id", "twin_id", "domain", "kind", "split", "seed", "hazard", "conflicting", "severity")
    things = Things(case)
    return {
        **{field: getattr(case, field) for field in (*fields, "instruction")},
        "state": [_entity(entity) for entity in case.entities],
        "goals": [(things.goal(goal), str(goal)) for goal in case.goals],
        "harms": [(things.spared(harm), str(harm)) for harm in case.harms],
        "guards": [_guard(things, guard) for guard in case.guards if guard.facts],
        "safeguards": list(case.safeguards),
        "answers": [f"{t.cue} {t.subjects[0]}: {', '.join(r.text for r in t.replies)}" for t in case.topics],
        "events": [f"{e.entity}.{e.field} becomes {e.value} after {e.after}" for e in case.events],
    }


def _guard(things: Things, guard: Guard) -> tuple[str, str]:
    stored = f"{', '.join(guard.facts)} before {guard.entity}.{guard.field} changes"
    return f"{things.facts(guard.facts)}, before {things.name(guard.entity)} is acted on", stored


def _entity(fields: Mapping[str, Any]) -> tuple[str, str, str]:
    """Id, type and what is set of an entity."""
    values = [f"{name}={_plain(value)}" for name, value in fields.items() if name not in ("id", "type")]
    return str(fields["id"]), str(fields["type"]), ", ".join(values)


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


TOOL_WORLD = Told(describe_case, lambda case: Reasons(case).words)
