"""The table of what policies of pretrained sources make of plain text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from persistence_pipeline.orderings import SOURCE
from persistence_pipeline.report.kit.tables import Column, Table, make_table

PLAIN_TEXT: Sequence[Column] = (
    ("cell", "cell", str),
    ("perplexity", "perplexity", ".2f"),
    ("times", "times the source's", ".3f"),
    ("tokens", "tokens", "d"),
)


def plain_text_table(summary: Mapping[str, Any]) -> Table:
    """One row per policy that goes back to a pretrained model: its perplexity, and that over its source's."""
    sources = {(row["source"], row["seed"]): row for row in summary["plain_text"] if row["ordering"] == SOURCE}
    rows = []
    for row in summary["plain_text"]:
        before, now = sources[row["source"], row["seed"]]["perplexity"], row["perplexity"]
        rows.append({**row, "times": now / before if now and before else None})
    return make_table(rows, PLAIN_TEXT)
