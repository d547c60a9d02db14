"""The JSON object that a model was asked for, out of the text that it wrote."""

from __future__ import annotations

import json
import re
from typing import Any

_END_OF_THOUGHTS = re.compile(r"</think>\s*")
_FENCED = re.compile(r"^```(?:json)?\s*\n(.*)\n\s*```$", re.DOTALL)


def json_object(content: str) -> dict[str, Any] | None:
    """The JSON object that a model's answer consists of, after its thoughts and in or out of a code fence."""
    objects = (_object(text) for text in possible_answers(content))
    return next((value for value in objects if value is not None), None)


def possible_answers(content: str) -> list[str]:
    """The texts that may be the answer: behind each mark that ends thoughts, the last first."""
    text = content.strip()
    ends = [] if text.startswith(("{", "`")) else [match.end() for match in _END_OF_THOUGHTS.finditer(text)]
    return [text[end:] for end in reversed(ends)] or [text]


def _object(text: str) -> dict[str, Any] | None:
    fenced = _FENCED.match(text)
    try:
        value = json.loads(fenced[1] if fenced else text, object_pairs_hook=_unique)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a key stands twice")
    return value
