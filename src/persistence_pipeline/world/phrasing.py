"""How observations are worded: one word each for the tiny model, JSON with an explanation for real ones."""

from __future__ import annotations

import json
from typing import Any

from persistence_pipeline.world.cases import Case
from persistence_pipeline.world.domains import DOMAINS


def render_observation(observation: dict[str, Any], case: Case) -> str:
    """Text of a tool message for an observation, in the phrasing of the case."""
    if case.phrasing == "compact":
        return " ".join(_words(observation))
    notes = DOMAINS[case.domain].notes
    return json.dumps(_explained(observation, notes), ensure_ascii=False)


def _words(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [word for item in value.values() for word in _words(item)]
    if isinstance(value, list):
        return [word for item in value for word in _words(item)]
    return [str(value)]


def _explained(value: Any, notes: Any) -> Any:
    """The observation with the domain's note beside every condition or flag."""
    if isinstance(value, list):
        return [_explained(item, notes) for item in value]
    if not isinstance(value, dict):
        return value
    word = value.get("condition", value.get("flag"))
    note = {"note": notes[word]} if word in notes else {}
    return {**{key: _explained(item, notes) for key, item in value.items()}, **note}
