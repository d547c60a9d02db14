"""Intervals hold the truth as often as they say, by the simulation behind the table of docs/coverage.md."""

from __future__ import annotations

import json

import pytest
from bench.coverage import MARK, NUMBERS, OF_SQUARES, PAGE, RESULTS, coverage, table
from bench.page import between
from bench.simulated import Noise

STUDIES = 600
"""Their Monte-Carlo error at 95% is 0.009."""


@pytest.mark.parametrize(
    ("seeds", "cases", "noise", "on_line"),
    [
        (3, 40, Noise(0.2, "heavy"), False),
        (3, 256, Noise(0.05), True),
        (5, 40, Noise(0.2, "unequal"), False),
    ],
)
def test_intervals_hold_the_truth(seeds: int, cases: int, noise: Noise, on_line: bool) -> None:
    found = coverage(seeds, cases, noise, on_line, STUDIES, seed=0)
    assert set(NUMBERS) - set(found) == (set(OF_SQUARES) if on_line else set())
    assert min(found[name] for name in NUMBERS if name in found) > 0.92, found
    assert found["undefined"] < 0.1


def test_the_table_is_that_of_the_measurements() -> None:
    rows, page = json.loads(RESULTS.read_text("utf-8")), PAGE.read_text("utf-8")
    assert len(rows) == 84 and between(page, MARK, table(rows)) == page
    shares = [row[name] for row in rows for name in NUMBERS if name in row]
    low, high = (2 * (share * (1 - share) / min(row["studies"] for row in rows)) ** 0.5 for share in (0.93, 0.98))
    assert min(shares) > 0.93 - low and max(shares) < 0.98 + high
