"""The answer in words, generated from the numbers: nothing is said that the intervals do not bear."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from persistence_pipeline.report.tables import interval_text, ratio_text


def answer(summary: Mapping[str, Any]) -> list[str]:
    """Two sentences: what persists, and where the cells lie."""
    return [_persistence_sentence(summary["persistence"]), _frontier_sentence(summary["frontier"])]


def _persistence_sentence(rows: list[dict[str, Any]]) -> str:
    if not rows:
        return "Persistence needs both orders and both single stages; this run does not have them all."
    if len(rows) > 1:
        parts = [_range(rows, metric) for metric in ("safety", "helpfulness")]
        return f"Over {len(rows)} combinations of source and beta, {parts[0]}, and {parts[1]}."
    row = rows[0]
    told = {m: ratio_text(row[m]) for m in ("safety", "helpfulness") if m in row}
    ordered = _which_persists(row)
    return (
        f"Of what safety training gains, {told.get('safety', '–')} survives training for helpfulness; of what "
        f"helpfulness training gains, {told.get('helpfulness', '–')} survives training for safety{ordered}."
        f"{_order_sentence(row)}"
    )


def _order_sentence(row: Mapping[str, Any]) -> str:
    """What the order itself adds: without an order effect the two persistences share out one whole."""
    excess = (row.get("order") or {}).get("excess") or {}
    if excess.get("low") is None:
        return ""
    told = interval_text(excess)
    if excess["low"] <= 0 <= excess["high"]:
        return (
            f" The two sum to one ({told} off): the order of the stages makes no difference that can be seen here."
        )
    first = "the first stage leaves more" if excess["estimate"] > 0 else "the first stage leaves less"
    return f" Without memory of the order the two would sum to one; they are {told} off: {first} than that."


def _range(rows: list[dict[str, Any]], metric: str) -> str:
    defined = [row[metric]["estimate"] for row in rows if metric in row and row[metric]["defined"]]
    undefined = sum(metric in row for row in rows) - len(defined)
    if not defined:
        return f"the persistence of {metric} is undefined"
    extra = f" ({undefined} undefined)" if undefined else ""
    mean = sum(defined) / len(defined)
    return f"{metric} persists to {mean:.2f} on average ({min(defined):.2f} to {max(defined):.2f}){extra}"


def _which_persists(row: dict[str, Any]) -> str:
    """Say which persists more only where the intervals do not overlap."""
    safety, helpfulness = row.get("safety"), row.get("helpfulness")
    if not (safety and helpfulness and safety["defined"] and helpfulness["defined"]):
        return ""
    if safety["low"] > helpfulness["high"]:
        return ": safety persists more, as published"
    if helpfulness["low"] > safety["high"]:
        return ": helpfulness persists more, the opposite of what was published"
    return ": the intervals overlap, so neither can be said to persist more"


def _frontier_sentence(frontier: Mapping[str, Any]) -> str:
    line = frontier["ols"]
    if "undefined" in line:
        return f"No line is fitted: {line['undefined']}."
    efficient = [p["ordering"].replace(">", " > ") for p in frontier["points"] if p["pareto"]]
    both = [p["distance"] for p in frontier["points"] if p["ordering"] == "both" and p["distance"] is not None]
    place = ""
    if both:
        mean = sum(both) / len(both)
        place = (
            f"; training on both at once lies {abs(mean):.2f} points {'above' if mean > 0 else 'below'} the line"
        )
    return (
        f"The {line['n']} points lie near one line (R² = {line['r2']:.2f}, slope {line['slope']:.2f}){place}; "
        f"Pareto-efficient: {', '.join(dict.fromkeys(efficient))}."
        if line["r2"] >= 0.5
        else f"The {line['n']} points do not lie on one line (R² = {line['r2']:.2f}){place}."
    )
