"""Numbers as text: a true minus, a dash where there is nothing, intervals in brackets."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

DASH = "–"
Interval = Mapping[str, Any]
"""``estimate``, ``low`` and ``high``; a ratio has ``defined``, too."""


def number(value: float | None, spec: str = ".2f") -> str:
    """A number by a format specification; zero has no sign, and a dash stands where there is none."""
    if value is None or value != value:  # NaN
        return DASH
    text = format(value, spec)
    if not text.strip("+-0.%"):
        return text.lstrip("+-")
    return f"−{text[1:]}" if text.startswith("-") else text


def true_minus(text: str) -> str:
    """A text whose negative numbers have a true minus."""
    return re.sub(r"(?<!\w)-(?=\d)", "−", text)


def listed(names: Iterable[str]) -> str:
    """Each name once, as a list in words: ``gpt2, llama and qwen2``."""
    *others, last = dict.fromkeys(names)
    return f"{', '.join(others)} and {last}" if others else last


def bounds_text(interval: Interval, spec: str = "+.2f") -> str:
    """``[+0.54, +0.75]``; empty where an interval has no bounds."""
    if interval.get("low") is None:
        return ""
    return f"[{number(interval['low'], spec)}, {number(interval['high'], spec)}]"


def interval_text(interval: Interval | None, spec: str = "+.2f") -> str:
    """``+0.64 [+0.54, +0.75]``; a dash where there is no estimate."""
    if not interval or interval.get("estimate") is None:
        return DASH
    return f"{number(interval['estimate'], spec)} {bounds_text(interval, spec)}".rstrip()


def share_text(share: Interval | None) -> str:
    """``0.26 [0.19, 0.33]``: a level without a sign; a dash where there is none."""
    return interval_text(share, ".2f")


def ratio_text(ratio: Interval | None) -> str:
    """A persistence with its interval, or that it is undefined."""
    return "undefined" if ratio and not ratio["defined"] else share_text(ratio)
