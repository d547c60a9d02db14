"""The few numbers of a study that are compared between commits: what ``dvc metrics`` and ``dvc plots`` show."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

DIGITS = 6
"""Decimal places: differences below are rounding."""
LINE = ("n", "r2", "slope", "intercept")


def headline_metrics(analysis: Mapping[str, Any]) -> dict[str, Any]:
    """R², slope, persistence and mean changes; null where something is undefined.

    Args:
        analysis: Keys ``frontier`` and ``persistence``, as in ``summary.json``.
    """
    frontier = analysis["frontier"]
    return {
        "frontier": {name: _rounded(frontier["ols"].get(name)) for name in LINE},
        "persistence": {
            f"{row['source']}, beta {row['beta']:g}": {
                metric: _rounded((row.get(metric) or {}).get("estimate")) for metric in ("safety", "helpfulness")
            }
            for row in analysis["persistence"]
        },
        "points": {
            f"{point['source']}, {point['ordering']}, beta {point['beta']:g}": {
                metric: _rounded(point[f"delta_{metric}"]["estimate"]) for metric in ("safety", "helpfulness")
            }
            for point in frontier["points"]
        },
    }


def frontier_table(analysis: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Points of the frontier, one row each."""
    return [
        {
            "source": point["source"],
            "ordering": point["ordering"],
            "beta": point["beta"],
            "helpfulness": _rounded(point["delta_helpfulness"]["estimate"]),
            "safety": _rounded(point["delta_safety"]["estimate"]),
        }
        for point in analysis["frontier"]["points"]
    ]


def _rounded(value: float | None) -> float | None:
    return value if value is None or isinstance(value, int) else round(float(value), DIGITS)
