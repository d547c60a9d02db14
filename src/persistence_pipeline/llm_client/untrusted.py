"""Text written by others, made safe to put before a model that judges it or plays a part in it.

It is shown as JSON, one object a line. A line break, a quotation mark or a closing tag within it stays inside its
string, so it cannot end its line, its section or its turn. Characters that control tokens of chat templates begin
with are written as JSON escapes: whichever tokenizer the server has, none of its control tokens appears.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable
from typing import Any

from persistence_pipeline.records import Message

_BRACKETED = re.compile(r"\[(?=/?[A-Za-z_]{2,40}\])")
"""The opening of control tokens such as ``[INST]``; other square brackets are left to JSON."""


def quoted(value: Any) -> str:
    """The value as one line of JSON without anything that could read as a control token or a tag."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    text = "".join(_escaped(c) if _opens(c) else c for c in text) if not text.isascii() else text
    text = text.replace("<", _escaped("<"))
    return _BRACKETED.sub(r"\\u005b", text)


def quoted_messages(messages: Iterable[Message]) -> str:
    """A transcript, one numbered line a message."""
    return "\n".join(quoted(_entry(number, message)) for number, message in enumerate(messages, 1))


def _opens(character: str) -> bool:
    """Whether it is, or a tokenizer may fold it into, the opening of a tag; or it breaks a line."""
    if character.isascii():
        return False
    folded = unicodedata.normalize("NFKC", character)
    return "<" in folded or "[" in folded or character in "\u0085\u2028\u2029"


def _escaped(character: str) -> str:
    return json.dumps(character)[1:-1] if not character.isascii() else f"\\u{ord(character):04x}"


def _entry(number: int, message: Message) -> dict[str, Any]:
    who = {"user": "user", "tool": "tool", "assistant": "agent", "system": "instructions"}[message.role]
    entry: dict[str, Any] = {"turn": number, "from": who}
    if message.name is not None:
        entry["tool"] = message.name
    if message.content:
        entry["text"] = message.content
    if message.tool_calls:
        entry["calls"] = [{"tool": call.name, "arguments": call.arguments} for call in message.tool_calls]
    return entry
