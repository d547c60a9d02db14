"""A study's result as tables for the terminal."""

from __future__ import annotations

from typing import Any

from persistence_pipeline import factors
from persistence_pipeline.analysis.intervals import OVER_CASES
from persistence_pipeline.report.kit.tables import rich_table, without_column
from persistence_pipeline.report.kit.text import DASH
from persistence_pipeline.report.style import headline_split, interval_kind
from persistence_pipeline.report.tables import (
    Summary,
    cell_table,
    competence_text,
    fit_text,
    shares_table,
    unable,
)

SHORT = {
    "S > H minus H > S: safety": "S>H−H>S:\nsafety",
    "S > H minus H > S: helpfulness": "S>H−H>S:\nhelpf.",
    "safety persists": "safety\npersists",
    "helpfulness persists": "helpfulness\npersists",
}
"""Headers for the terminal."""
NARROW = {"did nothing": "did\nnothing", "helpfulness": "help-\nfulness", "invalid calls": "invalid\ncalls"}
"""Headers that are wider than what stands below them."""
LEAST = ("3 and 3", NARROW["invalid calls"], NARROW["did nothing"], "safety", NARROW["helpfulness"])


def console_table(summary: Summary, width: int) -> Any:
    """The result for a terminal of this many columns; what all cells have in common stands in the title."""
    from rich.console import Group

    (header, rows), common = cell_table(summary), []
    further = dict.fromkeys(name for cell in summary["cells"] for name in factors.further(cell))
    for name in ("source", "beta", *map(factors.words, further), "seed"):
        place = header.index(name)
        values = {row[place] for row in rows} - {DASH}
        if len(values) == 1:
            header, rows = without_column((header, rows), name)
            common.append(values.pop() if name == "source" else f"{name} {values.pop()}")
    rows = [[row[0].replace(" > ", " >\n"), *row[1:]] for row in rows]
    cells = [NARROW.get(name, name) for name in header], rows
    names, lines = shares_table(summary)
    shares = [SHORT.get(name, name) for name in names], lines
    title = "; ".join([f"Scores on {headline_split(summary)} (0–3)", *([", ".join(common)] if common else [])])
    title = f"{title}; 95% intervals {OVER_CASES}"
    can = competence_text(summary)
    said = [can] if can else []
    return Group(
        *(said if unable(summary) else []),
        rich_table(title, cells, width, left=("ordering", "source"), least=LEAST),
        rich_table(f"Persistence; 95% intervals {interval_kind(summary)}", shares, width, least=("sum − 1",)),
        f"Frontier: {fit_text(summary)}",
        *([] if unable(summary) else said),
    )
