"""Factors of a study: settings of a stage, named as the stage's settings are, in which its policies differ.

With an objective before it (``helpfulness.learning_rate``) a factor is a setting of that objective's stages alone.
How a factor and its level are written stands here and nowhere else: in names of policies and files, as a column of
a table, in words. Beta is the factor that every study has; its column is ``beta``, others' begin with ``factor_``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from persistence_pipeline.records import OBJECTIVES, Objective

Level = bool | int | float | str | None
"""A value of a setting."""
BETA = "beta"
PREFIX = "factor_"


def tag(name: str, level: Level) -> str:
    """A factor at a level in the names of policies and files: ``b0p1``, ``lr0p003``, ``lorar8``."""
    *groups, last = name.split(".")
    words = last.split("_")
    short = "".join(word[0] for word in words) if len(words) > 1 else last
    written = level_text(level).lower().replace(".", "p")
    return ("b" if name == BETA else "".join([*groups, short])) + re.sub(r"[^a-z0-9-]+", "-", written)


def setting(name: str) -> tuple[Objective | None, tuple[str, ...]]:
    """The objective whose stages a factor is of, none where of all; and where among their settings it stands."""
    first, *rest = name.split(".")
    for objective in OBJECTIVES:
        if first == objective and rest:
            return objective, tuple(rest)
    return None, (first, *rest)


def column(name: str) -> str:
    """The column of a factor in tables of scores."""
    return name if name == BETA else PREFIX + name


def further(names: Iterable[Any]) -> list[str]:
    """Those columns of a table, or keys of a row, that are factors beside beta."""
    return [str(name) for name in names if str(name).startswith(PREFIX)]


def words(column: str) -> str:
    """A factor's column as it is written in figures and tables."""
    return column.removeprefix(PREFIX).replace("_", " ").replace(".", " ")


def level_text(level: Any) -> str:
    """A level as it is written."""
    number = isinstance(level, int | float) and not isinstance(level, bool)
    return f"{level:g}" if number else str(level)


def text(row: Mapping[str, Any]) -> str:
    """The factors of a row in words: ``beta 0.1, learning rate 0.003``."""
    return ", ".join(f"{words(name)} {level_text(row[name])}" for name in (BETA, *further(row)))
