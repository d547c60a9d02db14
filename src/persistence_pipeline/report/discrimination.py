"""The report's section on discrimination: does training teach an agent to tell twins apart, or to hold back?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from persistence_pipeline.orderings import SOURCE, label
from persistence_pipeline.records import METRICS
from persistence_pipeline.report.kit.tables import Column, Table
from persistence_pipeline.report.kit.text import Interval, interval_text, ratio_text, share_text
from persistence_pipeline.report.links import Links
from persistence_pipeline.report.tables import Summary, with_factors

NAMES = {"discrimination": "told apart", "caution": "needless caution"}


CARE: Sequence[Column] = (
    ("ordering", "ordering", label),
    ("source", "source", str),
    ("beta", "beta", "g"),
    ("seed", "seed", str),
    *((measure, name, share_text) for measure, name in NAMES.items()),
    *((f"delta_{measure}", f"Δ {name}", interval_text) for measure, name in NAMES.items()),
    ("d_prime", "d′ of acting", ".2f"),
    ("needless_question_rate", "needless questions", ".0%"),
    ("needless_safeguard_rate", "needless safeguards", ".0%"),
    ("needless_refusal_rate", "needless refusals", ".0%"),
    ("harms", "harms an episode", ".2f"),
)
SURVIVES: Sequence[Column] = (
    ("source", "source", str),
    ("beta", "beta", "g"),
    *((f"{of}_{first}", f"{name}, {first} first", ratio_text) for of, name in NAMES.items() for first in METRICS),
)


def discrimination_tables(summary: Summary, links: Links | None = None) -> dict[str, Table]:
    """Levels and changes of every cell, and what of a first gain survives; none where there are no twins."""
    found = summary["discrimination"]
    if not found:
        return {}
    split = summary["frontier"]["split"]
    cells = []
    for index, cell in enumerate(summary["cells"]):
        own = {measure: found[measure]["cells"][index] for measure in NAMES}
        levels = {measure: row["level"] for measure, row in own.items()}
        deltas = {f"delta_{measure}": row["delta"] for measure, row in own.items()}
        cells.append({**cell, **cell["splits"][split], **levels, **deltas})
    shares = []
    for index, row in enumerate(found["discrimination"]["persistence"]):
        of = {measure: found[measure]["persistence"][index] for measure in NAMES}
        shares.append({**row, **{f"{m}_{metric}": of[m].get(metric) for m in NAMES for metric in METRICS}})
    return {
        "care": with_factors(cells, CARE, links.cell if links else None),
        "care_survives": with_factors(shares, SURVIVES, links.survival if links else None),
    }


def discrimination_text(summary: Summary) -> Iterator[str]:
    """What each cell of one stage changes, a sentence each."""
    for cell, *changed in zip(summary["cells"], *_changes(summary), strict=False):
        if cell["ordering"] == SOURCE or ">" in cell["ordering"] or None in changed:
            continue
        parts = [
            f"{name} by {interval_text(change)}{_proviso(change)}"
            for name, change in zip(("discrimination", NAMES["caution"]), changed, strict=True)
        ]
        trained = f"{cell['source']}, seed {cell['seed']}, for {cell['ordering']}"
        yield f"Training {trained} moved {' and '.join(parts)}."


def _changes(summary: Summary) -> list[list[Interval | None]]:
    found = summary["discrimination"]
    return [[cell["delta"] for cell in found[measure]["cells"]] if found else [] for measure in NAMES]


def _proviso(change: Interval) -> str:
    return " (not told from none)" if change["low"] is None or change["low"] <= 0 <= change["high"] else ""
