"""Aggregation, shared bootstrap, frontier and persistence against direct computation and known results."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from persistence_pipeline.analysis import frontier
from persistence_pipeline.analysis.bootstrap import case_weights, draw_means
from persistence_pipeline.analysis.frontier_summary import frontier_summary
from persistence_pipeline.analysis.line import Line, fit_line
from persistence_pipeline.analysis.persistence import persistence_groups
from persistence_pipeline.analysis.runs import gather
from persistence_pipeline.analysis.summary import persistence_summary

ORDERINGS = ("source", "safety", "helpfulness", "safety>helpfulness", "helpfulness>safety", "both")
FLOATS = st.floats(-3, 3, allow_nan=False).map(lambda v: round(v, 3))


def score_table(
    seed: int = 0, n_seeds: int = 2, n_cases: int = 12, sources: tuple[str, ...] = ("a", "b")
) -> pd.DataFrame:
    """Random scores: every ordering of every source on each seed's own cases, two samples a case."""
    rng = np.random.default_rng(seed)
    rows = []
    for source in sources:
        for s in range(n_seeds):
            for index, ordering in enumerate(ORDERINGS):
                for case in range(n_cases):
                    for sample in range(2):
                        rows.append(
                            {
                                "source": source,
                                "ordering": ordering,
                                "beta": np.nan if ordering == "source" else 0.1,
                                "seed": s,
                                "evaluator": "state",
                                "case_id": f"s{s}.c{case}",
                                "sample": sample,
                                "safety": float(rng.integers(0, 4) if index else rng.integers(0, 3)),
                                "helpfulness": float(rng.integers(0, 4)),
                            }
                        )
    return pd.DataFrame(rows)


def test_points_are_means_over_seeds_minus_the_source() -> None:
    scores = score_table()
    summary = frontier_summary(draw_means(scores, 20, 0))
    by_run = scores.groupby(["source", "ordering", "seed"])[["safety", "helpfulness"]].mean()
    for point in summary["points"]:
        source, ordering = point["source"], point["ordering"]
        expected = (by_run.loc[source, ordering] - by_run.loc[source, "source"]).mean()
        assert point["delta_safety"]["estimate"] == pytest.approx(expected["safety"])
        assert point["delta_helpfulness"]["estimate"] == pytest.approx(expected["helpfulness"])
        assert point["n_runs"] == 2
        low, high = point["delta_safety"]["low"], point["delta_safety"]["high"]
        assert (low is None and high is None) or low < high, "no interval of no width"
    assert len(summary["points"]) == 10
    assert [row["source"] for row in summary["leave_one_source_out"]] == ["a", "b"]


def test_one_draw_resamples_the_same_cases_in_every_arm() -> None:
    """Equal arms have equal draws: the difference between them has no width at all."""
    scores = score_table(sources=("a",))
    twin = scores[scores["ordering"] == "safety"].assign(ordering="both")
    scores = pd.concat([scores[scores["ordering"] != "both"], twin])
    draws = draw_means(scores, 300, 1)
    runs = draws.runs
    left, right = (runs.index(ordering=o, seed=0)[0] for o in ("safety", "both"))
    assert np.array_equal(draws.means["safety"][:, left], draws.means["safety"][:, right])
    assert draws.means["safety"][1:, left].std() > 0.01


def test_a_draw_is_the_mean_of_the_resampled_rows() -> None:
    scores = score_table(n_seeds=1, sources=("a",))
    runs = gather(scores)
    weights = next(case_weights(len(runs.cases), 5, 7))
    means = runs.means(weights)["safety"]
    row = runs.index(ordering="safety")[0]
    arm = scores[scores["ordering"] == "safety"]
    for draw in range(5):
        repeated = [
            value
            for case, weight in zip(runs.cases, weights[draw], strict=True)
            for value in list(arm.loc[arm["case_id"] == case, "safety"]) * int(weight)
        ]
        assert means[draw, row] == pytest.approx(np.mean(repeated))


def test_weights_are_resamples() -> None:
    chunks = list(case_weights(9, 4_500, 0))
    weights = np.concatenate(chunks)
    assert weights.shape == (4_500, 9) and len(chunks) == 3
    assert (weights.sum(1) == 9).all() and (weights >= 0).all()
    assert weights.mean() == pytest.approx(1) and weights.var() == pytest.approx(8 / 9, rel=0.05)
    assert np.array_equal(weights, np.concatenate(list(case_weights(9, 4_500, 0))))


def test_missing_scores_are_left_out_and_nothing_else() -> None:
    scores = score_table(n_seeds=1, sources=("a",))
    spoiled = scores.copy()
    spoiled.loc[spoiled.index[0], ["safety", "helpfulness"]] = np.nan
    expected = scores.drop(index=scores.index[0])
    first, second = (gather(table).means(np.ones((1, 12))) for table in (spoiled, expected))
    assert np.array_equal(first["safety"], second["safety"])
    with pytest.raises(ValueError, match="no graded trajectory"):
        gather(scores.assign(safety=np.nan))
    with pytest.raises(ValueError, match="lacks the columns"):
        gather(scores.drop(columns="evaluator"))


def test_a_run_without_its_source_is_refused() -> None:
    scores = score_table(sources=("a",))
    with pytest.raises(ValueError, match="expected one run of its source, found 0"):
        frontier_summary(draw_means(scores[scores["ordering"] != "source"], 5, 0))


# -- frontier ----------------------------------------------------------------------------------------


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(FLOATS, FLOATS), min_size=3, max_size=12, unique_by=lambda p: p[0]))
def test_ols_agrees_with_scipy_and_its_gradients_with_differences(points: list[tuple[float, float]]) -> None:
    x, y = (np.array(values) for values in zip(*points, strict=True))
    fit = frontier.ols(x, y)
    if np.ptp(y) == 0:
        assert "undefined" in fit
        return
    expected = stats.linregress(x, y)
    assert fit["slope"] == pytest.approx(expected.slope) and fit["p"] == pytest.approx(expected.pvalue)
    gradients = frontier.ols_gradients(x, y)
    for at in range(2 * len(x)):
        step = 1e-5 * np.eye(2 * len(x))[at]
        moved = [stats.linregress(x + sign * step[: len(x)], y + sign * step[len(x) :]) for sign in (1, -1)]
        for name, gradient in gradients.items():
            difference = (getattr(moved[0], name) - getattr(moved[1], name)) / 2e-5
            assert gradient[at] == pytest.approx(difference, rel=1e-3, abs=1e-3 * (1 + np.abs(gradient).max()))


def test_a_line_needs_three_different_points() -> None:
    two = np.array([0.0, 1.0])
    assert "3 points" in frontier.ols(two, two)["undefined"]
    assert "same helpfulness" in frontier.ols(np.ones(4), np.arange(4.0))["undefined"]
    assert "undefined" in frontier.quadratic(np.arange(3.0), np.arange(3.0))


@settings(max_examples=60, deadline=None)
@given(st.floats(-3, 3), st.floats(-2, 2))
def test_exact_lines_are_found_by_every_fit(slope: float, intercept: float) -> None:
    x = np.linspace(-1, 1, 7)
    y = slope * x + intercept
    if abs(slope) > 0.01:
        assert frontier.ols(x, y)["slope"] == pytest.approx(slope)
        line = fit_line(x, y, np.zeros(7, int), np.zeros((14, 14)))
        assert isinstance(line, Line)
        assert line.slope == pytest.approx(slope) and line.intercepts == pytest.approx(np.array([intercept]))
        assert line.r2 == pytest.approx(1) and line.residual == pytest.approx(0, abs=1e-9)
        assert np.abs(line.heights).max() < 1e-9


def test_a_parabola_is_told_from_a_line() -> None:
    rng = np.random.default_rng(1)
    x = np.linspace(-1, 1, 20)
    noise = 0.05 * rng.normal(size=20)
    curved = frontier.quadratic(x, x**2 + noise)
    straight = frontier.quadratic(x, x + noise)
    assert curved["p"] < 1e-6 and curved["coefficients"][0] == pytest.approx(1, abs=0.1)
    assert straight["p"] > 0.01


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(FLOATS, FLOATS), min_size=1, max_size=10))
def test_pareto_efficient_points_are_those_nothing_beats(points: list[tuple[float, float]]) -> None:
    x, y = (np.array(values) for values in zip(*points, strict=True))
    efficient = frontier.pareto_efficient(x, y)
    assert efficient.any()
    for i, (a, b) in enumerate(points):
        beaten = any((c >= a and d >= b) and (c > a or d > b) for c, d in points)
        assert efficient[i] == (not beaten)


# -- persistence -------------------------------------------------------------------------------------


def _with_means(values: dict[str, tuple[float, float]], n_cases: int = 30, noise: float = 0.0) -> pd.DataFrame:
    rng = np.random.default_rng(3)
    rows = []
    for ordering, (safety, helpfulness) in values.items():
        for case in range(n_cases):
            row: dict[str, Any] = {"source": "m", "ordering": ordering, "seed": 0, "evaluator": "state"}
            row |= {"beta": np.nan if ordering == "source" else 0.1, "case_id": f"c{case}"}
            row |= {"safety": safety + noise * rng.normal(), "helpfulness": helpfulness + noise * rng.normal()}
            rows.append(row)
    return pd.DataFrame(rows)


STUDY = {
    "source": (1.5, 1.5),
    "safety": (2.5, 1.0),
    "helpfulness": (1.0, 2.5),
    "safety>helpfulness": (2.2, 1.6),
    "helpfulness>safety": (2.4, 1.3),
}


def test_persistence_is_the_share_of_the_gain_that_survives() -> None:
    (row,) = persistence_summary(draw_means(_with_means(STUDY), 50, 0))
    assert row["safety"]["estimate"] == pytest.approx((2.2 - 1.0) / (2.5 - 1.0))
    assert row["helpfulness"]["estimate"] == pytest.approx((1.3 - 1.0) / (2.5 - 1.0))
    assert not row["safety"]["defined"] and "nothing varies" in row["safety"]["reason"], "no interval of no width"
    assert (row["source"], row["evaluator"], row["beta"]) == ("m", "state", 0.1)


def test_everything_kept_is_one_and_nothing_kept_is_zero() -> None:
    kept = STUDY | {"safety>helpfulness": STUDY["safety"], "helpfulness>safety": STUDY["safety"]}
    (row,) = persistence_summary(draw_means(_with_means(kept), 10, 0))
    assert row["safety"]["estimate"] == pytest.approx(1) and row["helpfulness"]["estimate"] == pytest.approx(0)


def test_without_a_gain_persistence_is_undefined() -> None:
    flat = STUDY | {"safety": (1.0, 1.0)}
    (row,) = persistence_summary(draw_means(_with_means(flat, noise=0.5), 400, 0))
    safety = row["safety"]
    assert not safety["defined"] and "does not lie above zero" in safety["reason"]
    assert safety["low"] is None and safety["high"] is None
    assert row["helpfulness"]["defined"]


def test_persistence_needs_all_three_arms() -> None:
    lacking = {k: v for k, v in STUDY.items() if k != "helpfulness>safety"}
    groups = persistence_groups(gather(_with_means(lacking)))
    assert [group.metric for group in groups] == ["safety"]
    assert groups[0].parts.sum() == pytest.approx(0)
