"""The few numbers of a study that are compared between commits: what ``dvc metrics`` and ``dvc plots`` show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from persistence_pipeline.factors import further, text
from persistence_pipeline.records import METRICS

DIGITS = 6
"""Decimal places: differences below are rounding."""
SHOWN = 3
"""Reasons for missing scores that an error names."""
LINE = ("n", "r2", "slope", "intercept")


class NothingGradedError(ValueError):
    """A study has no score to analyse; the message says why."""


def graded_on(scores: pd.DataFrame, split: str) -> pd.DataFrame:
    """The scores on the headline split.

    Raises:
        NothingGradedError: no trajectory of the split has both scores; names the splits there are, or the reasons.
    """
    headline = scores[scores["split"] == split]
    if headline.empty:
        raise NothingGradedError(
            f"analysis.split: no scores on {split!r}, only on {sorted(scores['split'].unique())}"
        )
    if headline[list(METRICS)].isna().any(axis=1).all():
        reasons = headline["missing_reason"].value_counts().head(SHOWN).to_dict()
        raise NothingGradedError(f"none of {len(headline)} trajectories on {split!r} has both scores: {reasons}")
    return headline


def headline_metrics(analysis: Mapping[str, Any]) -> dict[str, Any]:
    """R², slope, persistence, order effects with their intervals and what these are over, changes, discrimination.

    ``errors`` are standard errors by what they come from. Null where something is undefined.

    Args:
        analysis: Keys ``frontier``, ``persistence`` and ``discrimination``, as in ``summary.json``.
    """
    frontier = analysis["frontier"]
    told_apart = analysis["discrimination"]["discrimination"]["cells"] if analysis["discrimination"] else []
    return {
        "frontier": {name: _rounded(frontier["ols"].get(name)) for name in LINE},
        "persistence": {
            _group(row, analysis["persistence"]): {
                metric: _rounded((row.get(metric) or {}).get("estimate")) for metric in METRICS
            }
            for row in analysis["persistence"]
        },
        "order": {
            _group(row, analysis["persistence"]): {
                metric: {key: _rounded(row["order"][metric][key]) for key in ("estimate", "low", "high")}
                for metric in METRICS
            }
            for row in analysis["persistence"]
            if "order" in row
        },
        "errors": {
            **{f"{row['source']}, source": {m: _errors(row[m]) for m in METRICS} for row in frontier["sources"]},
            **{
                _group(row, analysis["persistence"]): {
                    **{f"persistence of {metric}": _errors(row.get(metric)) for metric in METRICS},
                    **{f"order, {metric}": _errors((row.get("order") or {}).get(metric)) for metric in METRICS},
                }
                for row in analysis["persistence"]
            },
        },
        "intervals": sorted({row["order"]["safety"]["kind"] for row in analysis["persistence"] if "order" in row}),
        "points": {
            f"{point['source']}, {point['ordering']}, {text(point)}": {
                metric: _rounded(point[f"delta_{metric}"]["estimate"]) for metric in METRICS
            }
            for point in frontier["points"]
        },
        "discrimination": {row["cell"]: _rounded((row["level"] or {}).get("estimate")) for row in told_apart},
    }


def _errors(found: Mapping[str, Any] | None) -> dict[str, float | None]:
    """Standard errors of a number by what they come from; null where the design cannot tell."""
    parts = (found or {}).get("parts") or {}
    return {name: None if part is None else _rounded(part**0.5) for name, part in parts.items()}


def frontier_table(analysis: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Points of the frontier, one row each."""
    return [
        {
            "source": point["source"],
            "ordering": point["ordering"],
            "beta": point["beta"],
            **{name: point[name] for name in further(point)},
            "helpfulness": _rounded(point["delta_helpfulness"]["estimate"]),
            "safety": _rounded(point["delta_safety"]["estimate"]),
        }
        for point in analysis["frontier"]["points"]
    ]


def _group(row: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> str:
    """Source and factors, and the evaluator where there are several."""
    evaluators = {other.get("evaluator") for other in rows}
    judged = f", {row['evaluator']}" if len(evaluators) > 1 else ""
    return f"{row['source']}, {text(row)}{judged}"


def _rounded(value: float | None) -> float | None:
    return value if value is None or isinstance(value, int) else round(float(value), DIGITS)
