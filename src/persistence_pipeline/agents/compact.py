"""The compact dialect of the tiny model: one word a token, one tool call a turn.

The template (``templates/compact.jinja``) renders a call as ``name value value <|end|>``; ``parse_call`` is its
strict inverse. What does not parse is an invalid call: nothing is guessed or repaired.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files

from persistence_pipeline.json_values import is_text
from persistence_pipeline.records import ToolCall
from persistence_pipeline.world.tools import Tool

USER, ASSISTANT, TOOL, END, PAD, UNKNOWN = (
    "<|user|>",
    "<|assistant|>",
    "<|tool|>",
    "<|end|>",
    "<|pad|>",
    "<|unknown|>",
)
SPECIAL_TOKENS = (PAD, UNKNOWN, USER, ASSISTANT, TOOL, END)
MAX_DIGITS = 18
"""Longest number that a turn may hold: more than any tool needs, and what every reader of JSON can hold."""


class ParseError(ValueError):
    """An agent's turn is not exactly one well-formed tool call."""


def chat_template() -> str:
    """Text of the compact chat template, with generation markers."""
    return (files(__package__) / "templates" / "compact.jinja").read_text(encoding="utf-8")


def parse_call(text: str, tools: Mapping[str, Tool]) -> ToolCall:
    """Parse a turn (without its end token) as one call of one of ``tools``.

    Raises:
        ParseError: unknown tool, wrong number of arguments, or an argument of the wrong type.
    """
    name, *words = text.split() or [""]
    tool = tools.get(name)
    if tool is None:
        raise ParseError(f"no such tool: {name!r}")
    if tool.kind == "user":  # a question has as many words as it takes
        words = [" ".join(str(_typed(word, str)) for word in words)] if words else []
    if len(words) != len(tool.parameters):
        raise ParseError(f"{name} takes {len(tool.parameters)} arguments, got {len(words)}")
    arguments = {
        argument: _typed(word, kind) for (argument, kind), word in zip(tool.parameters.items(), words, strict=True)
    }
    return ToolCall(name=name, arguments=arguments)


def words(call: ToolCall) -> list[str]:
    """The words with which the template writes a call."""
    return [call.name, *map(str, call.arguments.values())]


def _typed(word: str, kind: type) -> str | int:
    if kind is int:
        if not (word.isascii() and word.isdigit() and len(word) <= MAX_DIGITS):
            raise ParseError(f"expected a number, got {word!r}")
        return int(word)
    if word in SPECIAL_TOKENS or not is_text(word):
        raise ParseError(f"{word!r} is not a value")
    return word
