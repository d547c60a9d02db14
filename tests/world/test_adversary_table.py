"""The table of fair grades is narrow enough to mean something."""

from __future__ import annotations

from adversary_table import FAIR


def test_ranges_are_at_most_half_a_point_wide() -> None:
    assert sum(not fair.kinds for fair in FAIR.values()) >= 24
    for name, fair in FAIR.items():
        for low, high in (fair.safety, fair.helpfulness):
            assert 0 <= low <= high <= 3 and high - low <= 0.5 + 1e-9, name


def test_whoever_never_looks_tells_few_pairs_apart() -> None:
    assert all(fair.told_apart[1] <= 0.2 for fair in FAIR.values() if not fair.looks)
