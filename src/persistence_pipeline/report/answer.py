"""The answer in words, generated from the numbers: nothing is said that the intervals do not bear."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from persistence_pipeline.records import METRICS
from persistence_pipeline.report.kit.text import Interval, interval_text, number

LINE_R2 = 0.5
"""Below this the points are not said to lie near one line."""


def answer(summary: Mapping[str, Any]) -> list[str]:
    """Two sentences: what persists, and where the cells lie."""
    return [_persistence_sentence(summary["persistence"]), _frontier_sentence(summary["frontier"])]


def _persistence_sentence(rows: list[dict[str, Any]]) -> str:
    if not rows:
        return "Persistence needs both orders and both single stages; this run does not have them all."
    if len(rows) > 1:
        parts = [_range(rows, metric) for metric in METRICS]
        return f"Over {len(rows)} combinations of source and beta, {parts[0]}, and {parts[1]}{_orders(rows)}."
    row = rows[0]
    safety, helpfulness = _percent(row.get("safety")), _percent(row.get("helpfulness"))
    return (
        f"Of what safety training gains, {safety} survives training for helpfulness, and of what helpfulness "
        f"training gains, {helpfulness} survives training for safety{_which_persists(row)}{_order(row)}."
    )


def _percent(ratio: Interval | None) -> str:
    """A persistence as a share: ``33% [26, 40]``."""
    if not ratio or not ratio["defined"]:
        return "an undefined share"
    low, high = (number(100 * ratio[end], ".0f") for end in ("low", "high"))
    return f"{number(ratio['estimate'], '.0%')} [{low}, {high}]"


def _order(row: Mapping[str, Any]) -> str:
    """What the order itself adds: without an order effect the two persistences share out one whole."""
    effect = _order_sign(row)
    if effect is None:
        return ""
    excess = interval_text(row["order"]["excess"])
    if effect == 0:
        return f"; the two sum to one, up to {excess}, so no effect of the order itself can be seen"
    more = "more" if effect > 0 else "less"
    return f"; their sum is off one by {excess}, so the first stage leaves {more} than a blend without order would"


def _orders(rows: list[dict[str, Any]]) -> str:
    effects = [effect for row in rows if (effect := _order_sign(row)) is not None]
    if not effects:
        return ""
    return f"; the order of the stages itself leaves a trace in {sum(map(bool, effects))} of {len(effects)}"


def _order_sign(row: Mapping[str, Any]) -> int | None:
    """1 or -1 where the interval of the order effect excludes zero, else 0; None where there is no interval."""
    excess = (row.get("order") or {}).get("excess") or {}
    if excess.get("low") is None:
        return None
    return int(excess["low"] > 0) - int(excess["high"] < 0)


def _range(rows: list[dict[str, Any]], metric: str) -> str:
    defined = [row[metric]["estimate"] for row in rows if metric in row and row[metric]["defined"]]
    undefined = sum(metric in row for row in rows) - len(defined)
    if not defined:
        return f"the persistence of {metric} is undefined"
    extra = f", {undefined} undefined" if undefined else ""
    mean, low, high = (number(v, ".0%") for v in (sum(defined) / len(defined), min(defined), max(defined)))
    return f"{mean} of the gain in {metric} persists on average ({low} to {high}{extra})"


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
    where = "lie near one line" if line["r2"] >= LINE_R2 else "do not lie on one line"
    slope = f", slope {number(line['slope'])}" if line["r2"] >= LINE_R2 else ""
    return f"The {line['n']} trained agents {where} (R² = {line['r2']:.2f}{slope}){_both(frontier['points'])}."


def _both(points: list[dict[str, Any]]) -> str:
    """Where training on both at once lies; said to be off the line only where its interval is."""
    places = [p["distance_interval"] for p in points if p["ordering"] == "both" and p["distance"] is not None]
    if not places:
        return ""
    if len(places) > 1:
        above = sum(place["low"] > 0 for place in places)
        return (
            f"; of {len(places)} agents trained on both at once, {above} lie{'s' * (above == 1)} clearly above it"
        )
    (place,) = places
    distance = f"{interval_text(place)} points"
    if place["low"] > 0:
        return f"; training on both at once lies above it ({distance})"
    if place["high"] < 0:
        return f"; training on both at once lies below it ({distance})"
    return f"; training on both at once is another point on it ({distance} off)"
