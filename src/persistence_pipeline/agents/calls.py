"""Calls as families of real models write them, and their strict parsers.

``CallFormat.parse`` is the inverse of a rendered turn: what is not exactly one call is an invalid call, and
nothing is guessed or repaired.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from persistence_pipeline.agents.compact import ParseError
from persistence_pipeline.json_values import JsonError, is_text, strict_json
from persistence_pipeline.records import ToolCall
from persistence_pipeline.strict import Strict

CallForm = Literal["tagged", "line", "alone"]
Word = Annotated[str, Field(min_length=1)]
_WHERE = {
    "tagged": "between {0} and {1}",
    "line": "as one JSON object on a line of its own",
    "alone": "as one JSON object and nothing else",
}


class CallFormat(Strict):
    """The form in which an agent writes a call: one JSON object of its name and its arguments."""

    model_config = ConfigDict(frozen=True)

    form: CallForm
    """``tagged``: between ``tags``, text may stand before; ``line``: begins a line, text may stand before;
    ``alone``: nothing else stands in the turn."""
    tags: tuple[Word, Word] = Field(("<tool_call>", "</tool_call>"), strict=False)
    """What stands around a tagged call."""
    arguments: Word = "arguments"
    """Key of a call's arguments."""

    @property
    def tagged(self) -> bool:
        """Whether a call stands between tags."""
        return self.form == "tagged"

    @property
    def closer(self) -> str:
        """The character with which a call ends."""
        return self.tags[1][-1] if self.tagged else "}"

    def parse(self, turn: str) -> tuple[str, ToolCall]:
        """Parse a turn, without its end token, into the text before its call, and the call.

        Raises:
            ParseError: the turn is not exactly one call.
        """
        match = _whole(self.form, self.tags).fullmatch(turn)
        if match is None:
            raise ParseError(f"expected one call {_WHERE[self.form].format(*self.tags)}")
        return match["text"].removesuffix("\n"), _call(match["call"], self.arguments)

    def attempted(self, turn: str) -> bool:
        """True if the turn holds the beginning of a call."""
        return (self.tags[0] if self.tagged else "{") in turn

    def up_to_first(self, text: str) -> str:
        """The text to the end of its first call: a server may have written on."""
        if self.tagged:
            before, tag, _ = text.partition(self.tags[1])
            return before + tag
        first = _START[self.form].search(text)
        try:
            return text[: json.JSONDecoder().raw_decode(text, first.end() - 1)[1]] if first else text
        except (ValueError, RecursionError):
            return text

    def has_ended(self, turn: str) -> bool:
        """True if the turn so far ends with a call, well-formed or not: nothing that follows is the agent's."""
        written = turn.rstrip()
        if self.tagged:
            return written.endswith(self.tags[1])
        match = _whole(self.form, self.tags).fullmatch(written)
        try:
            return match is not None and isinstance(json.loads(match["call"]), dict)
        except (ValueError, RecursionError):
            return False


_START = {"line": re.compile(r"^\s*\{", re.MULTILINE), "alone": re.compile(r"\A\s*\{")}


@lru_cache(maxsize=16)
def _whole(form: CallForm, tags: tuple[str, str]) -> re.Pattern[str]:
    """Matches a turn: what is said before its call, and the call."""
    if form == "line":
        return re.compile(r"(?P<text>.*?)(?P<call>^\s*\{.*\})\s*", re.DOTALL | re.MULTILINE)
    if form == "alone":
        return re.compile(r"(?P<text>)(?P<call>\s*\{.*\})\s*", re.DOTALL)
    opened, closed = map(re.escape, tags)
    return re.compile(rf"(?P<text>.*?){opened}\s*(?P<call>\{{.*\}})\s*{closed}\s*", re.DOTALL)


def read_call(name: str, arguments: str) -> ToolCall:
    """A call as servers hand it over.

    Raises:
        ParseError: the arguments are not one JSON object that can be kept, or the name is no text.
    """
    if not is_text(name):
        raise ParseError("half of a surrogate pair in the name of a call")
    return ToolCall(name=name, arguments=parse_arguments(arguments))


def parse_arguments(text: str) -> dict[str, Any]:
    """Arguments of a call as servers write them.

    Raises:
        ParseError: the text is not one JSON object.
    """
    value = _value(text)
    if not isinstance(value, dict):
        raise ParseError("expected an object of arguments")
    return value


def _value(text: str) -> Any:
    try:
        return strict_json(text)
    except JsonError as fault:
        raise ParseError(f"the call is not JSON that can be kept: {fault}") from None


def _call(text: str, arguments: str) -> ToolCall:
    value = _value(text)
    if not isinstance(value, dict) or set(value) != {"name", arguments}:
        raise ParseError(f"expected a JSON object of name and {arguments}")
    if not isinstance(value["name"], str) or not isinstance(value[arguments], dict):
        raise ParseError(f"expected a text as name and an object as {arguments}")
    return ToolCall(name=value["name"], arguments=value[arguments])
