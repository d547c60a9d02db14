"""A study's result as tables for the terminal."""

from __future__ import annotations

from typing import Any

from persistence_pipeline import factors
from persistence_pipeline.report.agents import CAUTION, IDLE, TOLD, agents_of
from persistence_pipeline.report.kit.tables import Table, rich_table, without_column
from persistence_pipeline.report.kit.text import DASH
from persistence_pipeline.report.style import headline_split, interval_kind
from persistence_pipeline.report.tables import (
    Summary,
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
NARROW = {
    "helpfulness": "help-\nfulness",
    TOLD: "twins\ntold apart",
    CAUTION: "needless\ncaution",
    IDLE: "did\nnothing",
}
"""Headers that are wider than what stands below them."""
LEAST_SHARES = ("sum − 1", SHORT["S > H minus H > S: helpfulness"])
LEAST = (NARROW[CAUTION], NARROW[TOLD], NARROW[IDLE], "safety", NARROW["helpfulness"])


def console_table(summary: Summary, width: int) -> Any:
    """The result for a terminal of this many columns; what all rows have in common stands in the title."""
    from rich.console import Group

    (header, rows), common = _common(agents_of(summary), summary)
    rows = [[row[0].replace(" > ", " >\n"), *row[1:]] for row in rows]
    agents = [NARROW.get(name, name) for name in header], rows
    (names, lines), common_shares = _common(shares_table(summary), summary)
    shares = [SHORT.get(name, name) for name in names], lines
    kind = f"95% intervals {interval_kind(summary)}"
    can = competence_text(summary)
    said = [can] if can else []
    return Group(
        *(said if unable(summary) else []),
        rich_table(
            "; ".join([f"Scores on {headline_split(summary)} (0–3)", *common, kind]),
            agents,
            width,
            left=("agent", "source"),
            least=LEAST,
        ),
        rich_table("; ".join(["Persistence", *common_shares, kind]), shares, width, least=LEAST_SHARES),
        f"Frontier: {fit_text(summary)}",
        *([] if unable(summary) else said),
    )


def _common(table: Table, summary: Summary) -> tuple[Table, list[str]]:
    """The table without the columns of source and factors that are the same in every row; and these in words."""
    header, said = table[0], list[str]()
    further = dict.fromkeys(name for point in summary["frontier"]["points"] for name in factors.further(point))
    for name in ("source", "beta", *map(factors.words, further)):
        if name not in header:
            continue
        values = {row[table[0].index(name)] for row in table[1]} - {DASH}
        if len(values) == 1:
            table = without_column(table, name)
            said.append(values.pop() if name == "source" else f"{name} {values.pop()}")
    return table, [", ".join(said)] if said else []
