"""The page on order: pulls and gaps at each setting, and the gaps at equal pull."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench.findings._words import bullets, largest, of_largest, place, said, table, varied
from persistence_pipeline.analysis.intervals import NONE, OPEN
from persistence_pipeline.analysis.runs import ALL
from persistence_pipeline.records import METRICS
from persistence_pipeline.report.kit.text import interval_text, number, ratio_text

READINGS = {"points": "both stages gain as many points", "shares": "both stages keep as large a share"}
MEASURES = {"safety": "safety", "helpfulness": "helpfulness", "discrimination": "twins told apart"}


def blocks(files: Mapping[str, Any]) -> dict[str, str]:
    """Run, levels, equal pull and sentences."""
    study = largest(files)
    if study is None:
        return {}
    numbers = study["numbers"]
    rows = numbers["pull"]
    return {
        "pull-run": of_largest(files),
        "pull-levels": _levels(rows, numbers["persistence"]),
        "pull-equal": _equal(rows),
        "pull-says": bullets(_sentences(rows)),
    }


def _levels(rows: list[dict[str, Any]], persistence: list[dict[str, Any]]) -> str:
    levels = [{**level, "source": row["source"]} for row in rows for level in row["levels"]]
    columns = varied(levels)
    by_place = {place(row, columns): row for row in persistence}
    shown = []
    for level in levels:
        kept = by_place[place(level, columns)]
        pull = [interval_text(level["pull"][metric]) for metric in METRICS]
        shares = [ratio_text(kept[metric]) for metric in METRICS]
        gaps = [interval_text(level["gap"][name]) for name in MEASURES]
        shown.append([place(level, columns), *pull, *shares, *gaps])
    pulls = ["S gains in safety", "H gains in helpfulness"]
    return table(
        ["agents", *pulls, *(f"{m} persists" for m in METRICS), *(f"gap: {n}" for n in MEASURES.values())], shown
    )


def _equal(rows: list[dict[str, Any]]) -> str:
    shown = []
    for row in rows:
        for name, reading in READINGS.items():
            found = row["equal"][name]
            gaps = (
                [said(found["gap"][measure]) for measure in MEASURES]
                if "gap" in found
                else [found["reason"], "", ""]
            )
            shown.append([place(row, ()), reading, *gaps])
    return table(["agents", "equal pull", *(f"gap: {name}" for name in MEASURES.values())], shown)


def _sentences(rows: list[dict[str, Any]]) -> list[str]:
    """What the gaps of the single sources say at equal pull."""
    lines = []
    for name, reading in READINGS.items():
        found = [row["equal"][name]["gap"] for row in rows if row["source"] != ALL and "gap" in row["equal"][name]]
        if not found:
            lines.append(f"Where {reading}, no two settings of this study enclose equal pull.")
            continue
        for measure, words in MEASURES.items():
            gaps = [gap[measure] for gap in found]
            told = sum(gap["verdict"] not in (NONE, OPEN) for gap in gaps)
            small = sum(gap["equivalent"] for gap in gaps)
            sources = "source" if len(gaps) == 1 else "sources"
            lines.append(
                f"Where {reading}, the order matters to {words} in {told} of {len(gaps)} {sources}, "
                f"after Holm's correction; in {small} its effect is smaller than {number(gaps[0]['margin'])}."
            )
    return lines
