"""The order effect: zero where order leaves no trace, and tied to the persistences by arithmetic."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from persistence_pipeline.analysis.bootstrap import draw_means
from persistence_pipeline.analysis.summary import persistence_summary

N_CASES = 8


def table(levels: dict[str, tuple[float, float]], noise: float = 0.0) -> pd.DataFrame:
    """Scores of one source whose orderings have these mean (safety, helpfulness)."""
    rng = np.random.default_rng(0)
    rows = []
    for ordering, (safety, helpfulness) in levels.items():
        for case in range(N_CASES):
            jitter = rng.normal(0, noise, 2) if noise else (0.0, 0.0)
            rows.append(
                {
                    "source": "a",
                    "ordering": ordering,
                    "beta": np.nan if ordering == "source" else 0.1,
                    "seed": 0,
                    "evaluator": "state",
                    "case_id": f"c{case}",
                    "safety": safety + jitter[0],
                    "helpfulness": helpfulness + jitter[1],
                }
            )
    return pd.DataFrame(rows)


def levels(blend: float, other: float | None = None) -> dict[str, tuple[float, float]]:
    """S and H end a line; S>H lies a share ``blend`` of the way to S, H>S ``other`` (the same by default)."""
    safe, helpful = np.array([2.6, 0.8]), np.array([1.0, 2.6])
    between = [helpful + share * (safe - helpful) for share in (blend, blend if other is None else other)]
    arms = {"source": (1.8, 1.7), "safety": safe, "helpfulness": helpful}
    arms |= {"safety>helpfulness": between[0], "helpfulness>safety": between[1]}
    return {name: (float(point[0]), float(point[1])) for name, point in arms.items()}


@given(st.floats(0.02, 0.98))
def test_without_an_order_effect_the_two_persistences_share_out_one_whole(blend: float) -> None:
    (row,) = persistence_summary(draw_means(table(levels(blend)), 5, 0))
    assert row["safety"]["estimate"] == pytest.approx(blend)
    assert row["helpfulness"]["estimate"] == pytest.approx(1 - blend)
    assert row["order"]["excess"]["estimate"] == pytest.approx(0, abs=1e-9)
    assert row["order"]["safety"]["estimate"] == pytest.approx(0, abs=1e-9)


@given(st.floats(0.1, 0.9), st.floats(0.1, 0.9))
def test_the_excess_is_how_far_the_orders_lie_apart_on_the_line(first: float, second: float) -> None:
    (row,) = persistence_summary(draw_means(table(levels(first, second)), 5, 0))
    order = row["order"]
    assert order["excess"]["estimate"] == pytest.approx(first - second, abs=1e-9)
    assert order["safety"]["estimate"] == pytest.approx(1.6 * (first - second), abs=1e-9)
    assert order["helpfulness"]["estimate"] == pytest.approx(-1.8 * (first - second), abs=1e-9)


def test_two_equal_agents_off_the_line_have_height_and_no_order() -> None:
    """H>S a copy of S>H: the sum of the shares is off one by height alone."""
    arms = levels(0.5)
    arms |= dict.fromkeys(("safety>helpfulness", "helpfulness>safety"), (2.2, 2.1))
    (row,) = persistence_summary(draw_means(table(arms), 5, 0))
    order = row["order"]
    assert order["excess"]["estimate"] == pytest.approx(order["height"]["estimate"], abs=1e-6)
    assert order["height"]["estimate"] > 0.4
    assert order["along"]["estimate"] == pytest.approx(0, abs=1e-9)
    assert order["safety"]["estimate"] == pytest.approx(0) == order["helpfulness"]["estimate"]


@given(st.floats(0.1, 0.9), st.floats(0.1, 0.9))
def test_on_the_line_all_of_the_excess_is_along_it(first: float, second: float) -> None:
    (row,) = persistence_summary(draw_means(table(levels(first, second)), 5, 0))
    assert row["order"]["along"]["estimate"] == pytest.approx(first - second, abs=1e-6)
    assert row["order"]["height"]["estimate"] == pytest.approx(0, abs=1e-6)


def test_without_gains_there_are_no_shares_of_them() -> None:
    arms = levels(0.5) | {"helpfulness": (2.7, 2.6)}
    (row,) = persistence_summary(draw_means(table(arms, noise=0.1), 400, 0))
    assert "excess" not in row["order"] and row["order"]["safety"]["low"] is not None


def test_no_order_effect_without_both_orders() -> None:
    arms = {name: level for name, level in levels(0.5).items() if name != "helpfulness>safety"}
    (row,) = persistence_summary(draw_means(table(arms), 5, 0))
    assert "order" not in row and "helpfulness" not in row
