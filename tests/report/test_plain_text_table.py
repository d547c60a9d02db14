"""The table of perplexities, of which the source's is the measure."""

from __future__ import annotations

from typing import Any

from persistence_pipeline.report.plain_text import plain_text_table


def row(ordering: str, perplexity: float | None, seed: int = 0) -> dict[str, Any]:
    name = {"cell": f"m_s{seed}_{ordering}", "source": "m", "seed": seed, "ordering": ordering}
    return {**name, "perplexity": perplexity, "tokens": 700}


def test_each_is_measured_by_its_own_source() -> None:
    rows = [row("source", 20.0), row("source", 10.0, 1), row("safety", 30.0), row("safety", 30.0, 1)]
    _, shown = plain_text_table({"plain_text": rows})
    assert [cells[1:3] for cells in shown] == [
        ["20.00", "1.000"],
        ["10.00", "1.000"],
        ["30.00", "1.500"],
        ["30.00", "3.000"],
    ]


def test_what_a_server_plays_has_none() -> None:
    _, shown = plain_text_table({"plain_text": [row("source", None), row("safety", None)]})
    assert {cells[2] for cells in shown} == {"–"}
