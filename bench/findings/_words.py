"""Words and tables of findings: each number with its interval, and what may be said of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from persistence_pipeline.analysis.intervals import ABOVE, BELOW, NONE, OPEN
from persistence_pipeline.analysis.runs import ALL
from persistence_pipeline.factors import further, level_text, words
from persistence_pipeline.report.kit.tables import markdown_table
from persistence_pipeline.report.kit.text import interval_text, listed, number

Row = Mapping[str, Any]
PRETRAINED = "smollm2_large"
"""File of the pretrained model's study."""
SMALLER = "smollm2"
"""File of the same with fewer pairs and cases, from another source."""
SECOND = "smollm2-second"
"""File of one chain of the smaller size from the source of ``PRETRAINED``."""
UNABLE = "smollm2-unable"
"""File of an earlier one, whose source solved hardly a hazard."""
SAID = {ABOVE: "above zero", BELOW: "below zero", NONE: "none larger than {}", OPEN: "cannot be told"}
"""By verdict."""


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    return markdown_table((list(header), [list(row) for row in rows])).rstrip()


def once(rows: Sequence[Sequence[str]], same: int = 1) -> list[Sequence[str]]:
    """Rows without those that repeat another of the same source from column ``same`` on.

    A setting of one objective's stages leaves agents of the other objectives as they are.
    """
    seen: dict[tuple[str, ...], Sequence[str]] = {}
    for row in rows:
        seen.setdefault((row[0].partition(",")[0], *row[same:]), row)
    return list(seen.values())


def bullets(lines: Sequence[str]) -> str:
    """A list."""
    return "\n".join(f"- {line}" for line in lines)


def said(found: Row) -> str:
    """A number with its interval and what its verdict says."""
    return f"{interval_text(found)}, {SAID[found['verdict']].format(number(found['margin']))}"


def direction(found: Row) -> str:
    """What an interval without a verdict says of zero."""
    if found["low"] is None or found["low"] <= 0 <= found["high"]:
        return SAID[OPEN]
    return SAID[ABOVE if found["low"] > 0 else BELOW]


def varied(rows: Sequence[Row]) -> list[str]:
    """Columns of the factors that differ between the rows, beta among them."""
    names = ["beta", *further(rows[0])] if rows else []
    return [name for name in names if len({str(row.get(name)) for row in rows}) > 1]


def place(row: Row, columns: Sequence[str]) -> str:
    """Source and levels of a row: ``llama, helpfulness learning rate 0.0001``."""
    source = "mean of the sources" if row["source"] == ALL else str(row["source"])
    return ", ".join([source, *(f"{words(name)} {level_text(row[name])}" for name in columns)])


def by_kind(pools: Iterable[Row], pairs: str) -> dict[str, Counter[str]]:
    """Of each kind of hazard in all pools: ``solvable`` and ``solved`` candidates, and pairs by their objective.

    Args:
        pools: Of a study's sources.
        pairs: Which are counted: ``pairs``, or those ``on_hazards``.
    """
    kinds: dict[str, Counter[str]] = {}
    for row in (row for pool in pools for row in pool["kinds"]):
        own = kinds.setdefault(row["kind"].replace("_", " "), Counter())
        own.update({"solvable": row["solvable"], "solved": row["solved"], **row[pairs]})
    return kinds


def largest(files: Mapping[str, Row]) -> Row | None:
    """The grid; until it has been run, the default study; None where there is neither."""
    return files.get("grid") or files.get("base")


def of_largest(files: Mapping[str, Row]) -> str:
    """Which study that is, and of which run."""
    name = "The grid" if "grid" in files else "The default study (numbers of the grid are not here yet)"
    found = largest(files)
    return "" if found is None else f"{name}: {described(found['run'])}"


def described(run: Row) -> str:
    """Which run the numbers are of."""
    shown = ", ".join(f"{name} {run['versions'][name]}" for name in ("torch", "trl"))
    model, *further = run["processor"].split(", ")
    limits = [limit for limit in further if "=" in limit]
    processor = f"{model} with {listed(limits)}" if limits else model
    chains = (
        f"{len(run['seeds'])} chains"
        if len(run["seeds"]) > 1
        else "one chain (intervals over cases: this run only)"
    )
    commit, space, changes = run["commit"].partition(" ")
    return (
        f"{chains} of {listed(run['sources'])}, commit `{commit[:7]}`{space}{changes}, "
        f"{processor}, {shown}; scores {run['scores_sha256'][:12]}."
    )
