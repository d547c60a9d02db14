"""The table of a study's agents, a row each over all chains: what a run prints, and what the README shows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean
from typing import Any

from persistence_pipeline import factors
from persistence_pipeline.orderings import SOURCE, in_order, label
from persistence_pipeline.records import METRICS
from persistence_pipeline.report.kit.tables import Column, Table
from persistence_pipeline.report.kit.text import share_text
from persistence_pipeline.report.tables import DELTAS, MEANS, Summary, with_factors

Row = Mapping[str, Any]
TOLD, CAUTION, IDLE = "twins told apart", "needless caution", "did nothing"


AGENTS: Sequence[Column] = (
    ("ordering", "agent", label),
    ("source", "source", str),
    ("beta", "beta", "g"),
    *MEANS,
    *DELTAS,
    ("discrimination", TOLD, share_text),
    ("caution", CAUTION, share_text),
    ("refusal_rate", IDLE, ".0%"),
)


def agent_table(frontier: Row, surviving: Sequence[Row], cells: Sequence[Row]) -> Table:
    """A row for each source and for each point of the frontier.

    Args:
        frontier: ``sources`` and ``points`` as in ``summary.json``.
        surviving: What its ``levels`` say of twins; where a study has none, these columns are dashes.
        cells: Of each cell where it belongs and, on the headline split, its ``refusal_rate``.
    """
    sources = [{**row, "ordering": SOURCE, **_scores(row)} for row in frontier["sources"]]
    points = [*sources, *frontier["points"]]
    rows = [
        {**point, **_twins(point, surviving), "refusal_rate": fmean(_of(point, cells))}
        for ordering in in_order(point["ordering"] for point in points)
        for point in points
        if point["ordering"] == ordering
    ]
    return with_factors(rows, AGENTS)


def agents_of(summary: Summary) -> Table:
    """``agent_table`` of a whole summary."""
    split = summary["frontier"]["split"]
    cells = [{**cell, **cell["splits"][split]} for cell in summary["cells"]]
    return agent_table(summary["frontier"], summary["surviving"], cells)


def _scores(row: Row) -> dict[str, Any]:
    return {metric: row[metric]["estimate"] for metric in METRICS}


def _place(row: Row) -> dict[str, Any]:
    """Where a point stands; a source stands at no level of any factor."""
    names = [] if row["ordering"] == SOURCE else [factors.BETA, *factors.further(row)]
    return {name: row[name] for name in ("source", *names)}


def _twins(point: Row, surviving: Sequence[Row]) -> Row:
    levels = (level for row in _there(_place(point), surviving) for level in row["levels"])
    return next((level for level in levels if level["ordering"] == point["ordering"]), {})


def _of(point: Row, cells: Sequence[Row]) -> Iterator[float]:
    place = {**_place(point), "ordering": point["ordering"]}
    return (cell["refusal_rate"] for cell in _there(place, cells))


def _there(place: Row, rows: Sequence[Row]) -> Iterator[Row]:
    """The rows that have all values of a place."""
    return (row for row in rows if all(row.get(name) == value for name, value in place.items()))
