"""The README's first screen: what a run of the default study prints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench.findings._words import described, table
from persistence_pipeline.analysis.runs import ALL
from persistence_pipeline.orderings import SOURCE, label
from persistence_pipeline.report.kit.text import DASH, interval_text, number


def blocks(files: Mapping[str, Any]) -> dict[str, str]:
    """``run``: where the table comes from; ``run-table``: an agent a row."""
    if "base" not in files:
        return {}
    return {"run": described(files["base"]["run"]), "run-table": agents(files["base"])}


def agents(study: Mapping[str, Any]) -> str:
    """An agent a row, of a study with one source and one setting: the means of its chains."""
    numbers, cells = study["numbers"], study["cells"]
    (care,) = (row for row in numbers["surviving"] if row["source"] != ALL)
    frontier = numbers["frontier"]
    (source,) = frontier["sources"]
    scores = {SOURCE: {metric: source[metric]["estimate"] for metric in ("safety", "helpfulness")}}
    points = {point["ordering"]: point for point in frontier["points"]}
    rows = []
    for levels in care["levels"]:
        ordering = levels["ordering"]
        point = points.get(ordering, {})
        level = scores.get(ordering, point)
        idle = [cell["refusal_rate"] for cell in cells if cell["ordering"] == ordering]
        rows.append(
            [
                label(ordering),
                number(level["safety"]),
                number(level["helpfulness"]),
                *(interval_text(point[f"delta_{m}"]) if point else DASH for m in ("safety", "helpfulness")),
                interval_text(levels["discrimination"], ".2f"),
                interval_text(levels["caution"], ".2f"),
                number(sum(idle) / len(idle), ".0%"),
            ]
        )
    header = [
        "agent",
        "safety",
        "helpfulness",
        "Δ safety",
        "Δ helpfulness",
        "twins told apart",
        "needless caution",
    ]
    return table([*header, "did nothing"], rows)
