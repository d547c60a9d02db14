"""Replies of chat servers in one form, whatever dialect of OpenAI's chat completions they speak.

Whatever becomes a reply here can be kept in a journal and read back equal. What holds no reply is refused with the
reason; nothing of it is taken for what the model wrote.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar

from pydantic import ConfigDict, TypeAdapter, ValidationError

from persistence_pipeline.json_values import shortened, storable_text

Clean = Callable[[str], str]

MOST_TOKENS = 10**12
"""A count above this is none."""
HIGHEST_ID = 2**31
BROKEN_OFF = frozenset({"error", "abort", "network_error", "insufficient_system_resource"})
"""Ends that are the server's failure: what was written until then is no turn of the model's."""
FILTERED = frozenset({"content_filter", "sensitive"})
OVERFLOWN = "model_context_window_exceeded"
_HALF = re.compile("[\ud800-\udfff]")


class NoReplyError(ValueError):
    """A body that came with status 200 holds no reply; asked again, the server may do better."""


class FilteredReplyError(NoReplyError):
    """The server's filter took away what the model wrote."""


class OverflownReplyError(NoReplyError):
    """The model's window was full before the turn was over."""


@dataclass(frozen=True)
class ChatReply:
    """A reply."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    content: str
    tool_calls: tuple[tuple[str, str], ...]
    """Name and arguments as the server wrote them: the arguments are text, and may be no JSON."""
    finish_reason: str
    prompt_tokens: int
    """0 where the server does not say."""
    completion_tokens: int
    reasoning: str = ""
    """Thoughts that the server kept apart from the answer."""
    token_ids: tuple[int, ...] | None = None
    """The tokens that the model wrote, its end token included, where the server hands them over."""

    @property
    def cut_off(self) -> bool:
        """True if the limit of tokens ended it."""
        return self.finish_reason == "length"


@dataclass(frozen=True)
class UnreadTurn:
    """The model's answer was a call that its server could not read."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    unreadable: str
    """What the server said."""
    status: int
    written: str
    """What the model wrote, where the server tells."""


def kept_entry(kept: Mapping[str, Any]) -> ChatReply | UnreadTurn:
    """An entry of a journal.

    Raises:
        ValueError: naming the field that is not as this version writes it.
    """
    try:
        entry: ChatReply | UnreadTurn = _adapter("unreadable" in kept).validate_python(kept)
        return entry
    except ValidationError as error:
        fault = error.errors()[0]
        field = ".".join(map(str, fault["loc"]))
        raise ValueError(f"field {field}: {fault['msg'][:1].lower()}{fault['msg'][1:]}") from None


@cache
def _adapter(unread: bool) -> TypeAdapter[Any]:
    return TypeAdapter(UnreadTurn if unread else ChatReply)


def error_within(body: Mapping[str, Any]) -> Any:
    """The error that a body of status 200 reports, at its top or of its first choice; None where there is none."""
    choices = body.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    holders = (holder for holder in (body, first) if isinstance(holder, Mapping))
    return next((holder["error"] for holder in holders if holder.get("error")), None)


def read_reply(body: Mapping[str, Any], clean: Clean) -> ChatReply:
    """The first choice of a chat completion.

    Args:
        body: What the server answered.
        clean: Takes the key out of a text.

    Raises:
        NoReplyError: it holds none.
    """
    choice = _first_choice(body)
    message = choice["message"]
    end = choice.get("finish_reason")
    content, thoughts = _texts(message.get("content"), "content")
    reasoning, further = _texts(message.get("reasoning_content") or message.get("reasoning"), "reasoning")
    calls = list(_calls(message))
    refusal = message.get("refusal")
    if not content and not calls and isinstance(refusal, str):
        content = refusal
    usage = body.get("usage")
    usage = usage if isinstance(usage, Mapping) else {}
    return ChatReply(
        content=storable_text(clean(content)),
        tool_calls=tuple((storable_text(clean(name)), clean(arguments)) for name, arguments in calls),
        finish_reason=storable_text(end) if isinstance(end, str) else "",
        prompt_tokens=_count(usage.get("prompt_tokens")),
        completion_tokens=_count(usage.get("completion_tokens")),
        reasoning=storable_text(clean(reasoning + further or thoughts)),
        token_ids=_ids(choice.get("token_ids")),
    )


def _first_choice(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """The first choice, with a message that is the model's own from beginning to end."""
    choices = body.get("choices")
    if not isinstance(choices, list) or not choices:
        raise NoReplyError(f"no chat completion: choices is {_shown(choices)}")
    choice = choices[0]
    if not isinstance(choice, Mapping) or not isinstance(choice.get("message"), Mapping):
        raise NoReplyError(f"no chat completion: the first choice has no message: {_shown(choice)}")
    end = choice.get("finish_reason")
    if not isinstance(end, str):
        return choice
    if end in BROKEN_OFF:
        raise NoReplyError(f"finish_reason {end!r}")
    if end in FILTERED:
        raise FilteredReplyError(f"finish_reason {end!r}")
    if end == OVERFLOWN:
        raise OverflownReplyError(f"finish_reason {end!r}")
    return choice


def _texts(value: Any, what: str) -> tuple[str, str]:
    """The text of a message's field, and the thoughts among its parts."""
    if value is None:
        return "", ""
    if isinstance(value, str):
        return value, ""
    if not isinstance(value, list):
        raise NoReplyError(f"{what} is neither a text nor a list of parts: {_shown(value)}")
    texts, thoughts = [], []
    for part in value:
        kind = part.get("type", "text") if isinstance(part, Mapping) else "text"
        if kind in ("thinking", "reasoning"):
            thoughts.append("".join(_texts(part.get("thinking") or part.get("text"), what)))
            continue
        field = "refusal" if kind == "refusal" else "text"
        text = part.get(field) if isinstance(part, Mapping) else part
        if kind not in ("text", "output_text", "refusal") or not isinstance(text, str):
            raise NoReplyError(f"{what} has a part that is no text: {_shown(part)}")
        texts.append(text)
    return "".join(texts), "".join(thoughts)


def _calls(message: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Name and arguments of each call; ``function_call`` is what calls were before ``tool_calls``."""
    calls = message.get("tool_calls")
    if calls is None or calls == []:
        legacy = message.get("function_call")
        calls = [] if legacy is None else [{"function": legacy}]
    if not isinstance(calls, list):
        raise NoReplyError(f"tool_calls is no list: {_shown(calls)}")
    for call in calls:
        function = call.get("function", call) if isinstance(call, Mapping) else None
        name = function.get("name") if isinstance(function, Mapping) else None
        if not isinstance(function, Mapping) or not isinstance(name, str):
            raise NoReplyError(f"a call that is none of a function by name: {_shown(call)}")
        yield name, _arguments(function.get("arguments"))


def _arguments(value: Any) -> str:
    """The arguments as text; none in whatever form are ``{}``.

    Half a surrogate pair is written as its JSON escape: it stays what it is, and can be kept.
    """
    text = value if isinstance(value, str) else json.dumps(value)
    if text.strip() in ("", "null"):
        return "{}"
    return _HALF.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def _count(value: Any) -> int:
    """A number of tokens; 0 where it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= MOST_TOKENS:
        return 0
    return int(value)


def _ids(value: Any) -> tuple[int, ...] | None:
    if not isinstance(value, Sequence) or not value:
        return None
    whole = all(type(token) is int and 0 <= token < HIGHEST_ID for token in value)
    return tuple(value) if whole else None


def _shown(value: Any) -> str:
    text = json.dumps(value)
    return shortened(text, 80)
