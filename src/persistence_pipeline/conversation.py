"""Conversations as others write them, brought into the shape of our records.

TRL's conversational format, and OpenAI's behind it, wrap a call as ``{"type": "function", "function": {}}``
with its arguments perhaps as a JSON string, name by its id the call that a tool's message answers, and have null
where there is nothing. Only shapes are changed here; what a field must hold, the records say.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from persistence_pipeline.json_values import strict_json

OF_MESSAGES = frozenset({"role", "content", "tool_calls", "name", "sampled", "tool_call_id"})
"""Fields that a message may have, here or there; another one that is null is taken as absent."""


def own_pair(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a preference pair with its conversations in our shape; records among them stay as they are.

    Raises:
        ValueError: names the field and what is wrong with it.
    """
    own = dict(fields)
    calls: dict[str, str] = {}
    if "prompt" in own:
        own["prompt"] = _messages(own["prompt"], "prompt", calls)
    for side in ("chosen", "rejected"):
        if side in own:
            own[side] = _messages(own[side], side, dict(calls))
    if "tools" in own:
        own["tools"] = _tools(own["tools"])
    return own


def _messages(value: Any, where: str, calls: dict[str, str]) -> Any:
    """Messages as a tuple; ``calls`` holds the names of the tools called so far by the ids of the calls."""
    if not isinstance(value, list):
        return value
    return tuple(_message(item, f"{where}.{number}", calls) for number, item in enumerate(value))


def _message(value: Any, where: str, calls: dict[str, str]) -> Any:
    if not isinstance(value, dict):
        return value
    message = {name: item for name, item in value.items() if item is not None or name in OF_MESSAGES}
    if "content" in message:
        message["content"] = _content(message["content"], f"{where}.content")
    if "tool_calls" in message:
        message["tool_calls"] = _calls(message["tool_calls"], f"{where}.tool_calls", calls)
    answered = message.pop("tool_call_id", None)
    if answered is not None:
        message["name"] = _answering(message, answered, f"{where}.tool_call_id", calls)
    sampled = message.get("sampled")
    if isinstance(sampled, dict) and isinstance(sampled.get("ids"), list):
        message["sampled"] = {**sampled, "ids": tuple(sampled["ids"])}
    return message


def _content(value: Any, where: str) -> Any:
    if value is None:
        return ""
    if not isinstance(value, list):
        return value
    for number, part in enumerate(value):
        if not (isinstance(part, dict) and part.get("type") == "text" and isinstance(part.get("text"), str)):
            raise ValueError(f"field {where}.{number}: expected a part of type text, found {part!r:.60}")
    return "".join(part["text"] for part in value)


def _calls(value: Any, where: str, calls: dict[str, str]) -> Any:
    if value is None:
        return ()
    if not isinstance(value, list):
        return value
    own = []
    for number, call in enumerate(value):
        if isinstance(call, dict):
            own.append(_call(call, f"{where}.{number}"))
            if isinstance(call.get("id"), str):
                calls[call["id"]] = str(own[-1].get("name"))
        else:
            own.append(call)
    return tuple(own)


def _call(call: dict[str, Any], where: str) -> dict[str, Any]:
    rest = dict(call)
    rest.pop("id", None)
    function = rest.pop("function", None)
    if function is not None:
        kind = rest.pop("type", "function")
        if kind != "function" or not isinstance(function, dict):
            raise ValueError(f"field {where}: expected a call of type function, found {call!r:.60}")
        rest |= function
    elif rest.get("type") == "function":
        del rest["type"]
    if "arguments" in rest:
        rest["arguments"] = _arguments(rest["arguments"], f"{where}.arguments")
    return rest


def _arguments(value: Any, where: str) -> Any:
    if value is None or (isinstance(value, str) and value.strip() in ("", "null")):
        return {}
    if not isinstance(value, str):
        return value
    try:
        return strict_json(value)
    except ValueError as fault:
        raise ValueError(f"field {where}: expected an object, or one as a JSON string: {fault}") from None


def _answering(message: Mapping[str, Any], answered: Any, where: str, calls: Mapping[str, str]) -> Any:
    """Name of the tool whose call a message answers."""
    if not isinstance(answered, str) or answered not in calls:
        known = ", ".join(calls) or "none"
        raise ValueError(f"field {where}: expected an earlier call's id ({known:.60}), found {answered!r:.60}")
    name = message.get("name")
    if name is not None and name != calls[answered]:
        raise ValueError(f"field {where}: a call of {calls[answered]!r}, but the message is by {name!r:.60}")
    return calls[answered]


def _tools(value: Any) -> Any:
    if value is None:
        return ()
    if isinstance(value, str):
        try:
            value = strict_json(value)
        except ValueError as fault:
            raise ValueError(f"field tools: expected a list of JSON schemas: {fault}") from None
    return tuple(value) if isinstance(value, list) else value
