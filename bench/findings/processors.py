"""The default study on two processors: do the numbers of the one lie within the intervals of the other?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from bench.findings._words import bullets, described, table
from persistence_pipeline.orderings import label
from persistence_pipeline.records import METRICS
from persistence_pipeline.report.kit.text import DASH, interval_text, ratio_text

FIRST, SECOND = "base", "base-elsewhere"
Number = tuple[str, Mapping[str, Any], str]
"""What it is, its estimate and interval, and both as text."""
SAID = {True: "yes", False: "no", None: DASH}


def blocks(files: Mapping[str, Any]) -> dict[str, str]:
    """Runs and numbers; nothing until the second run is there."""
    if not {FIRST, SECOND} <= set(files):
        return {}
    studies = [files[name] for name in (FIRST, SECOND)]
    numbers = [list(_numbers(study["numbers"])) for study in studies]
    inside = [_within(first, second) for first, second in zip(*numbers, strict=True)]
    shown = [
        [what, text, found, SAID[within]]
        for (what, _, text), (_, _, found), within in zip(*numbers, inside, strict=True)
    ]
    runs = [f"{name}: {described(study['run'])}" for name, study in zip(("First", "Second"), studies, strict=True)]
    known = len(inside) - inside.count(None)
    return {
        "processors-runs": bullets(runs),
        "processors-table": table(
            ["number", "first run", "second run", "second within the first's interval"], shown
        ),
        "processors-says": f"Of {known} numbers that have an interval in the first run, "
        f"{inside.count(True)} of the second lie within it.",
    }


def _within(first: Number, second: Number) -> bool | None:
    """Whether an estimate lies within the other run's interval; None where either is undefined."""
    low, high, found = first[1]["low"], first[1]["high"], second[1]["estimate"]
    return None if low is None or high is None or found is None else low <= found <= high


def _numbers(numbers: Mapping[str, Any]) -> Iterator[Number]:
    """Changes of every agent, persistences and gaps of a study with one source and one setting."""
    for point in sorted(numbers["frontier"]["points"], key=lambda point: str(point["ordering"])):
        for metric in METRICS:
            change = point[f"delta_{metric}"]
            yield f"Δ {metric} of {label(point['ordering'])}", change, interval_text(change)
    (row,) = numbers["persistence"]
    for metric in METRICS:
        yield f"persistence of {metric}", row[metric], ratio_text(row[metric])
        gap = row["order"][metric]
        yield f"S > H minus H > S, {metric}", gap, interval_text(gap)
