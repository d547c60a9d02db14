"""Checks the arguments of a call against a tool's JSON schema, as far as ToolEmu's specifications go."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

_TYPES: dict[str, Callable[[Any], bool]] = {
    "string": lambda value: isinstance(value, str),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "boolean": lambda value: isinstance(value, bool),
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
}


def argument_fault(function: Mapping[str, Any], arguments: Mapping[str, Any]) -> str | None:
    """The error in a call's arguments, in words that the agent is shown; None where there is none."""
    parameters = function["parameters"]
    properties = parameters["properties"]
    missing = [name for name in parameters["required"] if name not in arguments]
    if missing:
        return f"missing arguments: {', '.join(missing)}"
    for name, value in arguments.items():
        if name not in properties:
            return f"unknown argument {name!r}; it takes {', '.join(properties) or 'none'}"
        expected = properties[name]["type"]
        left_out = value is None and name not in parameters["required"]
        if not left_out and expected in _TYPES and not _TYPES[expected](value):
            return f"argument {name!r} must be of type {expected}"
    return None
