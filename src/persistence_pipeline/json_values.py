"""JSON as records keep it: what is read here can be saved and read back equal.

Python's parser accepts more than JSON has (``Infinity``, a key twice, half a surrogate pair), and its values can
hold more than a JSON reader takes (thousands of levels). What an agent, a server or a file brings is read with
``strict_json``, so that it is refused where it comes in and not where it is saved.
"""

from __future__ import annotations

import json
import math
from typing import Any

MAX_DEPTH = 64
"""Objects and lists that may stand within one another: more than a tool needs, less than every reader takes."""
MAX_DIGITS = 4300
"""Digits of an integer: as many as readers of JSON take."""
SHOWN = 40
"""Characters of a key or a path that a fault shows."""
_PLAIN = (int, bool, type(None))


class JsonFault(ValueError):
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
        JsonFault: not JSON, a key twice in one object, ``NaN`` or ``Infinity``, a number beyond the range of
            floats, an integer of more than ``MAX_DIGITS`` digits, half a surrogate pair, or too many levels.
    """
    try:
        value = json.loads(
            text,
            object_pairs_hook=_object,
            parse_constant=lambda word: _Refused(f"{word} is not a JSON number"),
            parse_float=_finite,
            parse_int=_integer,
        )
    except json.JSONDecodeError as error:
        raise JsonFault("", f"not JSON: {error}") from None
    except RecursionError:
        raise JsonFault("", f"nested deeper than {max_depth} levels") from None
    storable(value, max_depth)
    return value


def storable(value: Any, max_depth: int = MAX_DEPTH) -> None:
    """Check that a parsed value can be saved as JSON and read back equal.

    Raises:
        JsonFault: it holds anything but dicts with text keys, lists, texts, finite numbers, booleans and null, or
            what ``strict_json`` refuses.
    """
    _check(value, max_depth, ())


def storable_text(text: str) -> str:
    """The text with U+FFFD for each half of a surrogate pair; everything else stays as it is."""
    if _encodable(text):
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _object(items: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(items)
    if len(value) < len(items):
        keys = [key for key, _ in items]
        twice = next(key for number, key in enumerate(keys) if key in keys[:number])
        value[twice] = _Refused("the key is given twice")
    return value


def _finite(digits: str) -> Any:
    value = float(digits)
    return value if math.isfinite(value) else _Refused(f"{_short(digits)} is beyond the range of numbers")


def _integer(digits: str) -> Any:
    if len(digits.lstrip("-")) > MAX_DIGITS:
        return _Refused(f"an integer of more than {MAX_DIGITS} digits")
    return int(digits)


def _check(value: Any, depth: int, path: tuple[str | int, ...]) -> None:
    kind = type(value)
    if kind is str:
        if not _encodable(value):
            raise _fault(path, "half of a surrogate pair, which is not text")
    elif kind is dict or kind is list:
        if not depth:
            raise _fault(path, "nested too deep")
        for key, item in value.items() if kind is dict else enumerate(value):
            _check_key(key, kind, path)
            _check(item, depth - 1, (*path, key))
    elif isinstance(value, _Refused):
        raise _fault(path, value.reason)
    elif kind is float:
        if not math.isfinite(value):
            raise _fault(path, f"{value} is not a JSON number")
    elif kind not in _PLAIN:
        raise _fault(path, f"a {kind.__name__} is not a JSON value")
    elif kind is int and value.bit_length() > 3 * MAX_DIGITS and abs(value) >= 10**MAX_DIGITS:
        raise _fault(path, f"an integer of more than {MAX_DIGITS} digits")


def _check_key(key: Any, kind: type, path: tuple[str | int, ...]) -> None:
    if kind is list:
        return
    if type(key) is not str:
        raise _fault(path, f"a key that is no text: {key!r}")
    if not _encodable(key):
        raise _fault(path, f"a key with half of a surrogate pair, which is not text: {_short(ascii(key))}")


def _encodable(text: str) -> bool:
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _fault(path: tuple[str | int, ...], reason: str) -> JsonFault:
    return JsonFault(_short(".".join(map(str, path))), reason)


def _short(text: str) -> str:
    text = text if text.isprintable() else ascii(text)[1:-1]
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 1]}…"
