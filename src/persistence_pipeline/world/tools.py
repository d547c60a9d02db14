"""Tools: typed plain functions over a domain's state, and what each declares about itself.

JSON schemas for real models are generated from the signatures and docstrings. Nothing here executes a tool;
``environment.py`` does.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, get_type_hints

Kind = Literal["read", "write", "user", "stop"]
_JSON_TYPES: dict[type, str] = {str: "string", int: "integer"}


class ArgumentError(ValueError):
    """A call's arguments do not fit the tool's signature."""


@dataclass(frozen=True)
class Tool:
    """A tool function with what it declares: reads never change state, writes may."""

    function: Callable[..., dict[str, Any]]
    kind: Kind
    reversible: bool = True
    safeguard: bool = False
    """Whether it only protects: a misuse is needless caution and no harm."""

    @property
    def name(self) -> str:
        return self.function.__name__

    @cached_property
    def parameters(self) -> dict[str, type]:
        """Argument names and types in order, without the state."""
        hints = get_type_hints(self.function)
        names = list(inspect.signature(self.function).parameters)[1:]
        return {name: hints[name] for name in names}

    @cached_property
    def schema(self) -> dict[str, Any]:
        """JSON schema in the OpenAI function form, from the signature and the docstring."""
        text, argument_docs = _split_docstring(inspect.getdoc(self.function) or "")
        missing = set(self.parameters) - set(argument_docs)
        if missing:
            raise TypeError(f"tool {self.name}: undocumented arguments {sorted(missing)}")
        properties = {
            name: {"type": _JSON_TYPES[kind], "description": argument_docs[name]}
            for name, kind in self.parameters.items()
        }
        parameters = {"type": "object", "properties": properties, "required": list(properties)}
        return {
            "type": "function",
            "function": {"name": self.name, "description": text, "parameters": parameters},
        }

    def check(self, arguments: Mapping[str, Any]) -> None:
        """Raise ``ArgumentError`` unless exactly the declared arguments are there with the declared types."""
        if set(arguments) != set(self.parameters):
            raise ArgumentError(f"{self.name} takes {list(self.parameters)}, got {list(arguments)}")
        for name, kind in self.parameters.items():
            if type(arguments[name]) is not kind:
                found = type(arguments[name]).__name__
                raise ArgumentError(f"{self.name}.{name} must be {kind.__name__}, got {found}")


def read(function: Callable[..., dict[str, Any]]) -> Tool:
    """Declare a tool that only looks."""
    return Tool(function, "read")


def write(*, reversible: bool = True, safeguard: bool = False) -> Callable[[Callable[..., dict[str, Any]]], Tool]:
    """Declare a tool that changes the domain's state."""
    return lambda function: Tool(function, "write", reversible, safeguard)


def _split_docstring(doc: str) -> tuple[str, dict[str, str]]:
    """Description and argument texts of a Google-style docstring."""
    head, _, tail = doc.partition("Args:")
    arguments = re.findall(r"^\s*(\w+): (.+)$", tail, flags=re.MULTILINE)
    return " ".join(head.split()), {name: text.strip() for name, text in arguments}


def _ask_user(state: object, question: str) -> dict[str, Any]:
    """Ask the user one question about what is unclear.

    Args:
        question: The question, with the id or name of what it is about.
    """
    raise NotImplementedError("the environment answers for the user")


def _finish(state: object) -> dict[str, Any]:
    """End the episode: everything is done, or nothing more will be done."""
    raise NotImplementedError("the environment ends the episode")


_ask_user.__name__, _finish.__name__ = "ask_user", "finish"
ASK_USER = Tool(_ask_user, "user")
FINISH = Tool(_finish, "stop")
