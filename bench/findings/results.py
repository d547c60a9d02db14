"""The pages of results: the grid."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench.findings._words import bullets, largest, of_largest, once, place, said, table, varied
from persistence_pipeline.orderings import label
from persistence_pipeline.records import METRICS
from persistence_pipeline.report.answer import answer, details
from persistence_pipeline.report.kit.text import interval_text, number, ratio_text

PARTS = ("sampling", "cases", "training")


def blocks(files: Mapping[str, Any]) -> dict[str, str]:
    """Run, the report's own sentences and persistence of the grid."""
    grid = largest(files)
    if grid is None:
        return {}
    return {
        "grid-run": of_largest(files),
        "grid-says": sentences(grid),
        "grid-persistence": persistence(grid["numbers"]["persistence"]),
    }


def sentences(study: Mapping[str, Any]) -> str:
    """What the report of a study says in words."""
    nothing: dict[str, Any] = {"unmatched": [], "empty": [], "n": 0, "n_missing": 0}
    summary = {**study["numbers"], "run": study["run"], "missing": nothing}
    return bullets([*answer(summary), *details(summary)])


def points(files: Mapping[str, Any]) -> dict[str, str]:
    """Run, points and errors of the grid."""
    grid = largest(files)
    if grid is None:
        return {}
    return {
        "points-run": of_largest(files),
        "grid-points": _points(grid["numbers"]["frontier"]["points"]),
        "grid-errors": _errors(grid["metrics"]["errors"]),
    }


def persistence(rows: list[dict[str, Any]]) -> str:
    """What persists of each metric, and the gaps of the orders."""
    columns = varied(rows)
    shown = [
        [
            place(row, columns),
            *(ratio_text(row[m]) for m in METRICS),
            *(said(row["order"][m]) for m in METRICS),
            interval_text(row["order"].get("height")),
        ]
        for row in rows
    ]
    gaps = [f"S > H minus H > S, {metric}" for metric in METRICS]
    return table(["agents", *(f"{m} persists" for m in METRICS), *gaps, "height off the line"], shown)


def _points(rows: list[dict[str, Any]]) -> str:
    columns = varied(rows)
    shown = [
        [
            place(row, columns),
            label(row["ordering"]),
            *(number(row[metric]) for metric in METRICS),
            *(interval_text(row[f"delta_{metric}"]) for metric in METRICS),
            interval_text(row["height"]),
            interval_text(row["below"], ".2f"),
        ]
        for row in rows
    ]
    deltas = [f"Δ {metric}" for metric in METRICS]
    header = ["agents", "ordering", *METRICS, *deltas, "above the line", "below what is attainable"]
    return table(header, once(shown))


def _errors(errors: dict[str, dict[str, Any]]) -> str:
    shown = [
        [where, what, *(number(parts.get(part), ".3f") for part in PARTS)]
        for where, found in errors.items()
        for what, parts in found.items()
        if parts
    ]
    return table(["agents", "standard error of", *PARTS], shown)
