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
from persistence_pipeline.analysis.bootstrap import case_weights, interval
from persistence_pipeline.analysis.persistence import fieller, persistence_groups, ratio, ratio_parts
from persistence_pipeline.analysis.runs import gather
from persistence_pipeline.analysis.summary import draw_means, frontier_summary, persistence_summary

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
        assert point["delta_safety"]["low"] <= point["delta_safety"]["high"]
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
def test_ols_agrees_with_scipy_and_with_its_draws(points: list[tuple[float, float]]) -> None:
    x, y = (np.array(values) for values in zip(*points, strict=True))
    fit = frontier.ols(x, y)
    if np.ptp(y) == 0:
        assert "undefined" in fit
        return
    expected = stats.linregress(x, y)
    assert fit["slope"] == pytest.approx(expected.slope) and fit["p"] == pytest.approx(expected.pvalue)
    draws = frontier.ols_draws(np.stack([x, x + 1]), np.stack([y, y]))
    assert draws["slope"] == pytest.approx(np.repeat(fit["slope"], 2), abs=1e-9)
    assert draws["r2"] == pytest.approx(np.repeat(fit["r2"], 2), abs=1e-9)
    assert draws["intercept"][1] == pytest.approx(fit["intercept"] - fit["slope"], abs=1e-7)


def test_a_line_needs_three_different_points() -> None:
    two = np.array([0.0, 1.0])
    assert "3 points" in frontier.ols(two, two)["undefined"]
    assert "same helpfulness" in frontier.ols(np.ones(4), np.arange(4.0))["undefined"]
    assert "undefined" in frontier.orthogonal(two, two)
    assert "undefined" in frontier.quadratic(np.arange(3.0), np.arange(3.0))


@settings(max_examples=60, deadline=None)
@given(st.floats(-3, 3), st.floats(-2, 2))
def test_exact_lines_are_found_by_every_fit(slope: float, intercept: float) -> None:
    x = np.linspace(-1, 1, 7)
    y = slope * x + intercept
    if abs(slope) > 0.01:
        assert frontier.ols(x, y)["slope"] == pytest.approx(slope)
    assert frontier.orthogonal(x, y)["slope"] == pytest.approx(slope, abs=1e-6)
    assert np.abs(frontier.signed_distances(x, y, slope, intercept)).max() < 1e-9
    above = frontier.signed_distances(x, y + np.hypot(1, slope), slope, intercept)
    assert above == pytest.approx(np.ones(7))


def test_orthogonal_regression_is_symmetric_in_its_axes() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=40)
    y = -0.7 * x + 0.3 * rng.normal(size=40)
    assert frontier.orthogonal(x, y)["slope"] == pytest.approx(1 / frontier.orthogonal(y, x)["slope"])
    assert abs(frontier.orthogonal(x, y)["slope"]) > abs(frontier.ols(x, y)["slope"])


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
    assert row["safety"]["low"] == pytest.approx(row["safety"]["high"])
    assert (row["source"], row["evaluator"], row["beta"]) == ("m", "state", 0.1)


def test_everything_kept_is_one_and_nothing_kept_is_zero() -> None:
    kept = STUDY | {"safety>helpfulness": STUDY["safety"], "helpfulness>safety": STUDY["safety"]}
    (row,) = persistence_summary(draw_means(_with_means(kept), 10, 0))
    assert row["safety"]["estimate"] == pytest.approx(1) and row["helpfulness"]["estimate"] == pytest.approx(0)


def test_without_a_gain_persistence_is_undefined_and_counted() -> None:
    flat = STUDY | {"safety": (1.0, 1.0)}
    (row,) = persistence_summary(draw_means(_with_means(flat, noise=0.5), 400, 0))
    safety = row["safety"]
    assert not safety["defined"] and "does not lie above zero" in safety["reason"]
    assert 0 < safety["n_undefined"] < 400 and safety["n_draws"] == 400
    assert safety["low"] is None and safety["high"] is None
    assert row["helpfulness"]["defined"]


def test_persistence_needs_all_three_arms() -> None:
    lacking = {k: v for k, v in STUDY.items() if k != "helpfulness>safety"}
    groups = persistence_groups(gather(_with_means(lacking)))
    assert [group.metric for group in groups] == ["safety"]
    top, bottom = ratio_parts(np.array([[0.0] * 4]), groups[0])
    assert top == bottom == np.array([0.0])


def test_fieller_agrees_with_the_bootstrap_where_the_gain_is_clear() -> None:
    rng = np.random.default_rng(0)
    top, bottom = 0.4 + 0.05 * rng.normal(size=20_000), 1.0 + 0.05 * rng.normal(size=20_000)
    result = ratio(0.4, 1.0, top, bottom)
    assert result["fieller"]["kind"] == "bounded"
    assert result["fieller"]["low"] == pytest.approx(result["low"], abs=0.01)
    assert result["fieller"]["high"] == pytest.approx(result["high"], abs=0.01)


def test_fieller_says_when_its_set_is_not_an_interval() -> None:
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(2, 20_000))
    assert fieller(2.0, 0.1, 2 + 0.1 * noise[0], 0.1 + 0.2 * noise[1])["kind"] == "outside"
    assert fieller(0.0, 0.1, 0 + noise[0], 0.1 + noise[1])["kind"] == "whole line"


def test_intervals_ignore_draws_that_are_not_numbers() -> None:
    draws = np.array([np.nan, 1.0, 2.0, 3.0, np.inf])
    found = interval(2.0, draws)
    assert 1 <= found.low < found.high <= 3
    assert interval(1.0, np.array([np.nan])).as_dict() == {"estimate": 1.0, "low": None, "high": None}
