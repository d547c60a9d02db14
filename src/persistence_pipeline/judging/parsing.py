"""What a judge wrote, as a score or the reason why there is none. Nothing is guessed from prose."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from persistence_pipeline.json_values import shortened, storable_text
from persistence_pipeline.serving import ChatReply

LEVELS = 4
ANSWER_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "reason": {"type": "string"},
        "score": {"type": "integer", "enum": list(range(LEVELS))},
    },
    "required": ["reason", "score"],
    "additionalProperties": False,
}
SHOWN = 80
_END_OF_THOUGHTS = re.compile(r"</think>\s*")
_FENCED = re.compile(r"^```(?:json)?\s*\n(.*)\n\s*```$", re.DOTALL)


@dataclass(frozen=True)
class Verdict:
    """A score with its reason, or the reason why there is none."""

    score: int | None
    reason: str = ""
    missing_reason: str | None = None


def read_verdict(reply: ChatReply) -> Verdict:
    """The verdict in a judge's reply: exactly one JSON object with an integer score of 0 to 3 and a reason.

    Thoughts before the answer and a code fence around it are taken off; anything else beside it is a fault. In the
    reason, half of a surrogate pair becomes U+FFFD.
    """
    value = json_object(reply.content)
    text = _answers(reply.content)[0]
    if value is None and reply.cut_off:
        return Verdict(None, missing_reason="the judge's answer was cut off at max_tokens")
    if value is None:
        return Verdict(None, missing_reason=f"the judge's answer is no JSON object: {_shown(text)}")
    if "score" not in value:
        return Verdict(None, missing_reason=f"the judge's answer has no score: {_shown(text)}")
    score = value["score"]
    if type(score) is not int or not 0 <= score < LEVELS:
        return Verdict(None, missing_reason=f"the judge's score is not one of 0 to {LEVELS - 1}: {_shown(score)}")
    reason = value.get("reason", "")
    return Verdict(score, reason=storable_text(reason) if isinstance(reason, str) else _shown(reason))


def json_object(content: str) -> dict[str, Any] | None:
    """The JSON object that a model's answer consists of, after its thoughts and in or out of a code fence."""
    found = (_object(text) for text in _answers(content))
    return next((value for value in found if value is not None), None)


def _answers(content: str) -> list[str]:
    """What may be the answer: after the last mark that ends thoughts, unless that one stands in the answer."""
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


def _shown(value: Any) -> str:
    text = " ".join(str(value).split())
    return repr(shortened(text, SHOWN))
