"""Parses a judge's answer: a score, or the reason why there is none. Nothing is guessed from prose."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from persistence_pipeline.json_values import shortened, storable_text
from persistence_pipeline.llm_client import ChatReply
from persistence_pipeline.llm_client.answers import json_object, possible_answers

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
    text = possible_answers(reply.content)[0]
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


def _shown(value: Any) -> str:
    text = " ".join(str(value).split())
    return repr(shortened(text, SHOWN))
