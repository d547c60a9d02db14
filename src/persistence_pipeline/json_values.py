"""JSON as records keep it: what is read here can be saved and read back equal.

Python's parser accepts more than JSON has (``Infinity``, a key twice, half a surrogate pair), and its values can
hold more than a JSON reader takes (thousands of levels). What an agent, a server or a file brings is read with
``strict_json``, so that it is refused where it comes in and not where it is saved.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from typing import Any

MAX_DEPTH = 64
"""Objects and lists that may stand within one another: more than a tool needs, less than every reader takes."""
MAX_DIGITS = 4300
"""Digits of an integer: as many as readers of JSON take."""
SHOWN = 40
"""Characters of a key or a number that a fault shows."""


_SURROGATE = re.compile(r"\\u[dD]|[\ud800-\udfff]")


class JsonError(ValueError):
    """A text is not JSON that can be kept, or a value cannot be kept as JSON.

    Attributes:
        path: Where, keys and places joined by dots; empty at the top.
        reason: What was expected or found, in one line.
    """

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}" if path else reason)
        self.path = path
        self.reason = reason


class _Refused:
    """Stands in a parsed value for what must not be there, until it is known where that is."""

    def __init__(self, reason: str) -> None:
        self.reason = reason


def strict_json(text: str, max_depth: int = MAX_DEPTH) -> Any:
    """The value of a JSON text.

    Args:
        text: One JSON value.
        max_depth: Objects and lists that may stand within one another.

    Raises:
        JsonError: not JSON, a key twice in one object, ``NaN`` or ``Infinity``, a number beyond the range of
            floats, an integer of more than ``MAX_DIGITS`` digits, half a surrogate pair, or too many levels.
    """
    refused: list[_Refused] = []

    def refuse(reason: str) -> _Refused:
        refused.append(_Refused(reason))
        return refused[-1]

    try:
        value = json.loads(
            text,
            object_pairs_hook=lambda items: _object(items, refuse),
            parse_constant=lambda word: refuse(f"{word} is not a JSON number"),
            parse_float=lambda digits: _float(digits, refuse),
        )
    except json.JSONDecodeError as error:
        raise JsonError("", f"not JSON: {error}") from None
    except ValueError:
        raise JsonError("", f"an integer of more than {MAX_DIGITS} digits") from None
    except RecursionError:
        raise JsonError("", f"nested deeper than {max_depth} levels") from None
    if refused or _SURROGATE.search(text) or not _shallow(value, max_depth):  # else a walk would find nothing
        storable(value, max_depth)
    return value


def storable(value: Any, max_depth: int = MAX_DEPTH) -> None:
    """Check that a parsed value can be saved as JSON and read back equal.

    Raises:
        JsonError: it holds anything but dicts with text keys, lists, texts, finite numbers, booleans and null, or
            what ``strict_json`` refuses.
    """
    _check(value, max_depth)


def storable_text(text: str) -> str:
    """The text with U+FFFD for each half of a surrogate pair; everything else stays as it is."""
    if is_text(text):
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def shortened(text: str, most: int) -> str:
    """The text, cut to ``most`` characters with an ellipsis as its last."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def is_text(text: str) -> bool:
    """True if the text can be written as UTF-8: it holds no half of a surrogate pair."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _object(items: list[tuple[str, Any]], refuse: Callable[[str], _Refused]) -> dict[str, Any]:
    value = dict(items)
    if len(value) < len(items):
        keys = [key for key, _ in items]
        twice = next(key for number, key in enumerate(keys) if key in keys[:number])
        value[twice] = refuse("the key is given twice")
    return value


def _float(digits: str, refuse: Callable[[str], _Refused]) -> Any:
    value = float(digits)
    return value if math.isfinite(value) else refuse(f"{_short(digits)} is beyond the range of numbers")


def _shallow(value: Any, max_depth: int) -> bool:
    """Whether no more than ``max_depth`` objects and lists stand within one another."""
    level = [value]
    for _ in range(max_depth + 1):
        containers = [item for item in level if item.__class__ is dict or item.__class__ is list]
        if not containers:
            return True
        level = [item for held in containers for item in (held.values() if held.__class__ is dict else held)]
    return False


def _check(value: Any, depth: int) -> None:
    kind = type(value)
    if kind is dict or kind is list:
        if not depth:
            raise JsonError("", "nested too deep")
        if kind is dict:
            _check_keys(value)
        for key, item in value.items() if kind is dict else enumerate(value):
            if item.__class__ is str and item.isascii():
                continue
            try:
                _check(item, depth - 1)
            except JsonError as fault:
                raise JsonError(f"{_short(str(key))}{'.' * bool(fault.path)}{fault.path}", fault.reason) from None
    else:
        _check_leaf(value, kind)


def _check_leaf(value: Any, kind: type) -> None:
    if kind is int:
        if value.bit_length() > 3 * MAX_DIGITS and abs(value) >= 10**MAX_DIGITS:
            raise JsonError("", f"an integer of more than {MAX_DIGITS} digits")
    elif kind is str:
        if not is_text(value):
            raise JsonError("", "half of a surrogate pair, which is not text")
    elif kind is float:
        if not math.isfinite(value):
            raise JsonError("", f"{value} is not a JSON number")
    elif kind is _Refused:
        raise JsonError("", value.reason)
    elif kind is not bool and value is not None:
        raise JsonError("", f"a {kind.__name__} is not a JSON value")


def _check_keys(value: dict[Any, Any]) -> None:
    for key in value:
        if type(key) is not str:
            raise JsonError("", f"a key that is no text: {key!r}")
        if not is_text(key):
            raise JsonError("", f"a key with half of a surrogate pair, which is not text: {key!a}")


def _short(text: str) -> str:
    text = text if text.isprintable() else ascii(text)[1:-1]
    return shortened(text, SHOWN)
