"""Intervals against direct computation: t over chains, shared cases, matched seeds, averages, bad input."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from persistence_pipeline.analysis.averages import average
from persistence_pipeline.analysis.bootstrap import draw_means
from persistence_pipeline.analysis.errors import errors_of
from persistence_pipeline.analysis.frontier_summary import frontier_summary
from persistence_pipeline.analysis.intervals import (
    OVER_CASES,
    OVER_MODELS,
    OVER_TRAINING,
    Interval,
    from_variance,
    holm,
    with_verdict,
)
from persistence_pipeline.analysis.line import Line, fit_line
from persistence_pipeline.analysis.missing import missing_summary
from persistence_pipeline.analysis.order import order_effect, order_gaps
from persistence_pipeline.analysis.persistence import match, persistence_groups
from persistence_pipeline.analysis.runs import gather
from persistence_pipeline.analysis.summary import persistence_averages, persistence_summary

ARMS = ("source", "safety", "helpfulness", "safety>helpfulness", "helpfulness>safety", "both")
LEVELS = ((1.5, 1.5), (2.4, 0.9), (1.0, 2.3), (1.9, 1.6), (1.7, 1.7), (2.0, 1.9))


def scores(
    n_seeds: int = 3, n_cases: int = 20, training: float = 0.2, seed: int = 0, shared: bool = False, **fixed: Any
) -> pd.DataFrame:
    """Arms on cases of each seed's own, or on the same cases; each run's level differs by ``training``."""
    rng = np.random.default_rng(seed)
    hard = rng.normal(0, 0.8, (n_seeds, n_cases, 2))
    rows = []
    for s in range(n_seeds):
        for arm, level in zip(ARMS, LEVELS, strict=True):
            mean = np.array(level) + training * rng.normal(size=2)
            for case in range(n_cases):
                safety, helpfulness = mean + hard[0 if shared else s, case] + rng.normal(0, 0.3, 2)
                rows.append(
                    {
                        "cell": f"{arm}/{s}",
                        "source": "m",
                        "ordering": arm,
                        "beta": np.nan if arm == "source" else 0.1,
                        "seed": s,
                        "evaluator": "state",
                        "case_id": f"c{case}" if shared else f"s{s}.c{case}",
                        "safety": safety,
                        "helpfulness": helpfulness,
                        **fixed,
                    }
                )
    return pd.DataFrame(rows)


def gap_by_seed(table: pd.DataFrame, metric: str = "safety") -> np.ndarray:
    means = table.groupby(["ordering", "seed"])[metric].mean()
    return (means["safety>helpfulness"] - means["helpfulness>safety"]).to_numpy()


def test_chains_with_cases_of_their_own_give_student_s_t() -> None:
    for n_seeds in (2, 3, 7):
        table = scores(n_seeds)
        (row,) = persistence_summary(draw_means(table, 200, 0))
        expected = stats.ttest_1samp(gap_by_seed(table), 0)
        gap, bounds = row["order"]["safety"], expected.confidence_interval()
        assert (gap["low"], gap["high"]) == pytest.approx((bounds.low, bounds.high))
        assert gap["p"] == pytest.approx(expected.pvalue) and gap["df"] == pytest.approx(n_seeds - 1)
        assert gap["kind"] == OVER_TRAINING


def test_fieller_over_chains_is_a_t_test_of_every_share() -> None:
    table = scores(5)
    (row,) = persistence_summary(draw_means(table, 200, 0))
    means = table.groupby(["ordering", "seed"])["safety"].mean()
    top = (means["safety>helpfulness"] - means["helpfulness"]).to_numpy()
    bottom = (means["safety"] - means["helpfulness"]).to_numpy()
    for bound in (row["safety"]["low"], row["safety"]["high"]):
        # df follow the estimate, not the share that is tested: with cases of their own both are chains less one.
        assert stats.ttest_1samp(top - bound * bottom, 0).pvalue == pytest.approx(0.05, abs=1e-6)


def test_one_seed_is_this_run_only_and_its_error_that_over_cases() -> None:
    table = scores(1, n_cases=200)
    (row,) = persistence_summary(draw_means(table, 4_000, 0))
    gap = row["order"]["safety"]
    assert gap["kind"] == OVER_CASES and "this run only" in gap["kind"] and gap["df"] == pytest.approx(199)
    cases = table.pivot_table(index="case_id", columns="ordering", values="safety")
    own = cases["safety>helpfulness"] - cases["helpfulness>safety"]
    assert gap["error"] == pytest.approx(own.std() / 200**0.5, rel=0.05)
    assert gap["parts"]["training"] is None and gap["parts"]["sampling"] is None


def test_shared_cases_add_their_covariance() -> None:
    """With the same cases on every seed the spread between seeds lacks what the cases have in common."""
    table = scores(4, n_cases=60, training=0.0, shared=True)
    table["safety"] += np.where(
        table["ordering"] == "safety>helpfulness", table["case_id"].str[1:].astype(int) % 5, 0
    )
    (row,) = persistence_summary(draw_means(table, 4_000, 0))
    gap = row["order"]["safety"]
    by_case = table.pivot_table(index="case_id", columns=["ordering", "seed"], values="safety")
    own = by_case["safety>helpfulness"] - by_case["helpfulness>safety"]
    covariance = np.cov(own.to_numpy(), rowvar=False) / 60
    off = (covariance.sum() - np.trace(covariance)) / 12
    between = gap_by_seed(table).var(ddof=1) / 4
    assert gap["error"] ** 2 == pytest.approx(between + off, rel=0.1)
    assert off > 5 * between and gap["df"] > 20


def test_variance_is_split_where_the_design_tells() -> None:
    once = scores(6, n_cases=50, training=0.5)
    rng = np.random.default_rng(1)
    noise = rng.normal(0, 0.6, (len(once), 2))
    again = pd.concat([once, once.assign(safety=once["safety"] + noise[:, 0])])
    for table, known in ((once, False), (again, True)):
        (row,) = persistence_summary(draw_means(table, 2_000, 0))
        parts = row["order"]["safety"]["parts"]
        assert (parts["sampling"] is not None) == known
        total = sum(value for value in parts.values() if value is not None)
        assert total == pytest.approx(row["order"]["safety"]["error"] ** 2, rel=0.05)
        assert parts["training"] > parts["cases"]


def test_the_sources_own_spread_is_that_of_their_levels() -> None:
    """A source's level has no other training than its own: what chains differ by beyond cases is the source."""
    table = scores(8, n_cases=200, training=0.5)
    (row,) = frontier_summary(draw_means(table, 500, 0))["sources"]
    by_seed = table[table["ordering"] == "source"].groupby("seed")["safety"].mean()
    assert row["safety"]["estimate"] == pytest.approx(by_seed.mean())
    assert row["safety"]["parts"]["training"] == pytest.approx(by_seed.var() / 8, rel=0.2)


def test_arms_are_compared_on_common_seeds_and_others_are_named() -> None:
    """Two equal arms, one seed of one of them gone: no order effect, where the means over all seeds differ."""
    table = scores(3, training=0.0)
    table = table[table["ordering"] != "helpfulness>safety"]
    twin = table[table["ordering"] == "safety>helpfulness"].assign(ordering="helpfulness>safety")
    table = pd.concat([table, twin])
    table.loc[table["seed"] == 2, "safety"] += 1.0
    short = table[~((table["ordering"] == "helpfulness>safety") & (table["seed"] == 2))]
    effect = order_effect(draw_means(short, 100, 0), "m", "state", 0.1, 0.1)
    assert effect is not None and effect["safety"]["estimate"] == pytest.approx(0)
    assert effect["seeds"] == [0, 1] and effect["left_out"] == ["seed 2: no helpfulness>safety"]
    none = short[~((short["ordering"] == "helpfulness>safety") & (short["seed"] < 2))]
    assert match(gather(none), ("safety>helpfulness", "helpfulness>safety"), "m", "state", 0.1) is None


def test_an_average_over_models_is_of_models_and_says_how_they_differ() -> None:
    tables = [scores(3, seed=i, source=f"m{i}") for i in range(4)]
    for table, shift in zip(tables, (0.0, 0.9, -0.9, 0.5), strict=True):
        table.loc[table["ordering"] == "safety>helpfulness", "safety"] += shift
    table = pd.concat([t.assign(case_id=t["source"] + t["case_id"]) for t in tables])
    draws = draw_means(table, 300, 0)
    (row,) = persistence_averages(draws, 0.1)
    gaps = np.array([gap_by_seed(t).mean() for t in tables])
    found, expected = row["order"]["safety"], stats.ttest_1samp(gaps, 0).confidence_interval()
    assert (found["low"], found["high"]) == pytest.approx((expected.low, expected.high), rel=1e-6)
    assert found["kind"] == OVER_MODELS and found["n"] == 4 and found["tau"] > 0.4 and found["i2"] > 0.7
    own = draws.select((draws.runs.table["source"] == "m0").to_numpy())
    gap = order_gaps(own, "m0", "state", 0.1)
    assert gap is not None
    alone = average(own, own.point @ gap[0][:, :1], gap[0][:, :1], ["m0"])
    assert alone["kind"] == OVER_TRAINING and alone["tau"] is None


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_rejects_what_its_steps_reject(p: list[float]) -> None:
    adjusted = holm(p)
    for alpha in (0.01, 0.05, 0.3):
        rejected, left = set(), sorted(range(len(p)), key=lambda i: p[i])
        while left and p[left[0]] * len(left) <= alpha:
            rejected.add(left.pop(0))
        assert {i for i, value in enumerate(adjusted) if value <= alpha} == rejected


def test_verdicts() -> None:
    def verdict(estimate: float, error: float) -> Any:
        return with_verdict(from_variance(estimate, error**2, 200, OVER_TRAINING), 0.1)

    assert verdict(0.5, 0.1)["verdict"] == "above" and verdict(-0.5, 0.1)["verdict"] == "below"
    assert verdict(0.0, 0.03)["verdict"] == "none" and verdict(0.0, 0.1)["verdict"] == "open"
    small = verdict(0.05, 0.01)
    assert small["verdict"] == "above" and small["equivalent"]
    assert with_verdict(Interval(0.0, reason="one case"), 0.1)["verdict"] == "open"


# -- the line with errors in both axes -------------------------------------------------------------------------


def _points(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    sources = np.array([0] * 5 + [1] * 4)
    x = rng.normal(size=9)
    y = 0.3 + 0.5 * sources - 0.8 * x + rng.normal(0, 0.2, 9)
    root = rng.normal(0, 0.02, (18, 18))
    return x, y, sources, root @ root.T


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000))
def test_gradients_of_the_line_are_differences(seed: int) -> None:
    x, y, sources, covariance = _points(np.random.default_rng(seed))
    line = fit_line(x, y, sources, covariance)
    assert isinstance(line, Line)
    for at in range(18):
        step = 1e-6 * np.eye(18)[at]
        ends = [fit_line(x + s * step[:9], y + s * step[9:], sources, covariance) for s in (1, -1)]
        up, down = (end for end in ends if isinstance(end, Line))
        pairs = (
            (line.slope_gradient[at], up.slope - down.slope),
            (line.r2_gradient[at], up.r2 - down.r2),
            (line.residual_gradient[at], up.residual - down.residual),
            (line.intercept_gradients[1, at], up.intercepts[1] - down.intercepts[1]),
            (line.height_gradients[2, at], up.heights[2] - down.heights[2]),
        )
        for gradient, difference in pairs:
            assert gradient == pytest.approx(difference / 2e-6, abs=1e-5 * (1 + abs(gradient)))


def test_noise_neither_flattens_the_line_nor_lowers_r2() -> None:
    rng = np.random.default_rng(0)
    x = np.array([-0.8, 0.7, 0.1, -0.2, 0.4, 0.0])
    y = 0.4 - 0.8 * x + np.array([0.2, 0.1, -0.2, 0.0, -0.1, 0.0])
    exact = fit_line(x, y, np.zeros(6, int), np.zeros((12, 12)))
    assert isinstance(exact, Line)
    noise = 0.12
    fits = []
    for _ in range(4_000):
        moved = rng.normal(0, noise, 12) / 2
        found = fit_line(x + moved[:6], y + moved[6:], np.zeros(6, int), np.eye(12) * noise**2 / 4)
        assert isinstance(found, Line)
        fits.append((found.slope, found.r2, found.residual))
    slope, r2, _ = np.median(fits, axis=0)
    assert slope == pytest.approx(exact.slope, abs=0.03) and r2 == pytest.approx(exact.r2, abs=0.03)
    assert np.mean(fits, axis=0)[2] == pytest.approx(exact.residual, abs=0.01)


def test_both_is_measured_from_the_line_of_the_others() -> None:
    """A line through all points would be pulled by `both` itself."""
    table = scores(1, n_cases=30, training=0.0)
    on_line = {arm: (2.5 - 0.7 * h, h) for arm, (_, h) in zip(ARMS, LEVELS, strict=True)}
    table[["safety", "helpfulness"]] = [on_line[arm] for arm in table["ordering"]]
    table.loc[table["ordering"] == "both", "safety"] += 0.5
    jitter = np.random.default_rng(0).normal(0, 1e-3, (len(table), 2))
    table[["safety", "helpfulness"]] += jitter
    points = frontier_summary(draw_means(table, 300, 0))["points"]
    heights = {point["ordering"]: point["height"] for point in points}
    assert heights["both"]["estimate"] == pytest.approx(0.5, abs=2e-3) and heights["both"]["verdict"] == "above"


# -- missing scores and bad input ------------------------------------------------------------------------------


def test_missing_scores_are_bounded_and_matched() -> None:
    table = scores(1, n_cases=40, training=0.0)
    unsafe = (table["ordering"] == "safety>helpfulness") & (table["safety"] < 1.2)
    spoiled = table.assign(safety=table["safety"].mask(unsafe).clip(0, 3))
    whole = table.assign(safety=table["safety"].clip(0, 3))
    found = missing_summary(spoiled)
    (row,) = found["rows"]
    (true,) = persistence_summary(draw_means(whole, 10, 0))
    numbers = row["safety"]["persistence"]
    assert found["n_missing"] == unsafe.sum() > 5 and found["empty"] == []
    assert numbers["low"] < true["safety"]["estimate"] < numbers["high"]
    assert numbers["available"] > true["safety"]["estimate"] + 0.1, "as scored, it is flattered"
    kept = whole[~whole["case_id"].isin(table.loc[unsafe, "case_id"])]
    (matched,) = persistence_summary(draw_means(kept, 10, 0))
    assert numbers["matched"] == pytest.approx(matched["safety"]["estimate"])
    assert missing_summary(table)["rows"] == []


def test_an_arm_without_any_score_is_named() -> None:
    table = scores(1)
    table.loc[table["ordering"] == "helpfulness", ["safety", "helpfulness"]] = np.nan
    found = missing_summary(table)
    assert found["empty"] == ["helpfulness/0"]
    assert found["rows"][0]["safety"]["persistence"]["low"] is None, "any share is possible"
    assert persistence_groups(gather(table)) == []


def test_bad_input_is_refused_in_words() -> None:
    table = scores(2)
    with pytest.raises(ValueError, match=r"seed of m source: expected a number, got none$"):
        gather(table.assign(seed=np.nan))
    wrong = table.assign(beta=table["beta"].replace(0.1, -1.0))
    with pytest.raises(ValueError, match=r"beta of m both seed 0: expected a positive number, got -1$"):
        gather(wrong.sort_values("ordering"))
    with pytest.raises(ValueError, match=r"beta of m source seed 0: expected none, for a source, got 0.1$"):
        gather(table.assign(beta=0.1))


def test_one_case_has_no_interval() -> None:
    (row,) = persistence_summary(draw_means(scores(1, n_cases=1), 50, 0))
    gap = row["order"]["safety"]
    assert (gap["low"], gap["high"], gap["verdict"]) == (None, None, "open")
    assert gap["reason"] == "one case: an interval needs at least two" and not row["safety"]["defined"]


def test_errors_of_nothing_that_varies_have_no_interval() -> None:
    table = scores(3).assign(safety=1.0)
    draws = draw_means(table, 50, 0)
    found = order_gaps(draws, "m", "state", 0.1)
    assert found is not None
    interval = errors_of(draws, found[0]).interval(0.0, np.array([1.0, 0.0]))
    assert np.isnan(interval.low) and "nothing varies" in interval.reason
