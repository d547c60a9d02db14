"""Whole results, key by key, on data small enough to compute by hand or by another formula."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from persistence_pipeline.analysis import frontier
from persistence_pipeline.analysis.attainable import attainable_frontier
from persistence_pipeline.analysis.audits import cell_comparisons
from persistence_pipeline.analysis.bootstrap import case_weights, draw_means
from persistence_pipeline.analysis.caution import COLUMNS
from persistence_pipeline.analysis.frontier_summary import frontier_summary
from persistence_pipeline.analysis.grid import grid_table
from persistence_pipeline.analysis.headline import frontier_table, headline_metrics
from persistence_pipeline.analysis.intervals import Interval, fieller, from_draws
from persistence_pipeline.analysis.order import order_effect
from persistence_pipeline.analysis.paired import agreement, paired_comparison
from persistence_pipeline.analysis.persistence import persistence_groups
from persistence_pipeline.analysis.runs import gather
from persistence_pipeline.analysis.summary import cell_summaries, persistence_summary

ARMS = ("source", "safety", "helpfulness", "safety>helpfulness", "helpfulness>safety", "both")
NAN = float("nan")
METRICS_AND_SEEDS = {"safety", "helpfulness", "seeds", "left_out"}


@pytest.fixture(autouse=True)
def _no_warnings() -> Any:
    """Divisions by zero are foreseen, not leaked to the user."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        yield


def study(
    sources: tuple[str, ...] = ("b", "a"), betas: tuple[float, ...] = (0.5, 0.1), seed: int = 3
) -> pd.DataFrame:
    """Random scores of every arm, two evaluators, two seeds with their own cases; sources out of order."""
    rng = np.random.default_rng(seed)
    rows = []
    for source in sources:
        for run_seed in (0, 1):
            for evaluator in ("strict", "mild"):
                for arm in ARMS:
                    for beta in [NAN] if arm == "source" else betas:
                        for case in range(7):
                            level = 0.7 * ("safety" in arm) - 0.4 * ("helpfulness" in arm) + 0.2 * beta
                            noise = rng.normal(0, 0.4, 2)
                            safety = 1.0 if math.isnan(level) else 1.2 + level
                            rows.append(
                                {
                                    "cell": f"{source}/{arm}/{beta:g}/{run_seed}",
                                    "source": source,
                                    "ordering": arm,
                                    "beta": beta,
                                    "seed": run_seed,
                                    "evaluator": evaluator,
                                    "split": "test_combination",
                                    "case_id": f"{run_seed}.{case}",
                                    "safety": safety + noise[0],
                                    "helpfulness": 2.2 - safety / 2 + 0.8 * ("helpfulness" in arm) + noise[1],
                                }
                            )
    return pd.DataFrame(rows)


def plain_mean(scores: pd.DataFrame, metric: str, **chosen: Any) -> float:
    """Mean of the rows chosen; a beta of None means the source's."""
    keep = pd.Series(True, index=scores.index)
    for column, value in chosen.items():
        keep &= scores[column].isna() if value is None else scores[column] == value
    return float(scores.loc[keep, metric].mean())


# -- runs and bootstrap --------------------------------------------------------------------------------------


def test_runs_hold_sums_and_counts_in_a_fixed_order() -> None:
    scores = pd.DataFrame(
        {
            "source": ["b", "b", "a", "a"],
            "ordering": ["safety", "source", "source", "source"],
            "beta": [0.1, NAN, NAN, NAN],
            "seed": [0, 0, 0, 0],
            "evaluator": "state",
            "case_id": ["y", "x", "x", "x"],
            "safety": [3.0, 2.0, 1.0, 2.0],
            "helpfulness": [0.0, 1.0, 3.0, 1.0],
            "note": [None, None, None, None],
        }
    )
    runs = gather(scores.assign(other=np.nan))
    assert list(runs.table.columns) == ["source", "ordering", "beta", "seed", "evaluator"]
    assert runs.table["source"].tolist() == ["a", "b", "b"]
    assert runs.table["ordering"].tolist() == ["source", "safety", "source"]
    assert np.isnan(runs.table["beta"]).tolist() == [True, False, True]
    assert runs.cases == ("x", "y")
    assert runs.counts.tolist() == [[2, 0], [0, 1], [1, 0]]
    assert runs.sums["safety"].tolist() == [[3, 0], [0, 3], [2, 0]]
    assert runs.sums["helpfulness"].tolist() == [[4, 0], [0, 0], [1, 0]]
    assert runs.counts.dtype == float
    means = runs.means(np.array([[1.0, 1.0], [2.0, 0.0]]))
    assert means["safety"][0].tolist() == [1.5, 3, 2]
    assert np.isnan(means["safety"][1]).tolist() == [False, True, False]
    chosen = runs.select(np.array([True, False, True]))
    assert chosen.table.index.tolist() == [0, 1] and chosen.table["source"].tolist() == ["a", "b"]
    assert chosen.cases == runs.cases and chosen.counts.tolist() == [[2, 0], [1, 0]]
    assert chosen.sums["safety"].tolist() == [[3, 0], [2, 0]]


def test_scores_that_cannot_be_gathered_say_why() -> None:
    with pytest.raises(ValueError, match=r"^score table lacks the columns \['seed', 'case_id', 'safety'\]$"):
        gather(study().drop(columns=["seed", "case_id", "safety"]))
    with pytest.raises(ValueError, match=r"^score table has no graded trajectory$"):
        gather(study().assign(safety=NAN))


def test_an_interval_over_draws_is_two_percentiles() -> None:
    draws = np.array([*range(101), np.nan, np.inf], dtype=float)
    found = from_draws(50, draws)
    assert (found.estimate, found.low, found.high) == pytest.approx((50.0, 2.5, 97.5))
    assert (from_draws(50, draws, 0.5).low, from_draws(50, draws, 0.5).high) == pytest.approx((25.0, 75.0))
    assert from_draws(1, np.array([NAN])).as_dict()["reason"] == "no draw is defined"
    assert from_draws(1, np.ones(5)).as_dict()["low"] is None, "no interval of no width"
    assert isinstance(found, Interval)
    assert all(weights.dtype == float for weights in case_weights(3, 10, 0))


# -- frontier ------------------------------------------------------------------------------------------------


def test_points_are_sorted_and_named() -> None:
    points = frontier.frontier_points(gather(study()))
    assert list(points.table.columns) == ["source", "ordering", "beta", "n_runs"]
    assert points.table["source"].tolist() == ["a"] * 10 + ["b"] * 10
    assert points.table["beta"].tolist() == [0.1, 0.5] * 10
    assert points.table["ordering"].tolist()[:6] == ["both"] * 2 + ["helpfulness"] * 2 + ["helpfulness>safety"] * 2
    assert set(points.table["n_runs"]) == {4}
    only_sources = study()[lambda t: t["ordering"] == "source"]
    assert list(frontier.frontier_points(gather(only_sources)).table.columns) == list(points.table.columns)


def test_a_source_is_looked_up_by_seed_and_evaluator() -> None:
    scores = study()
    lost = scores[~((scores["ordering"] == "source") & (scores["evaluator"] == "mild") & (scores["seed"] == 1))]
    with pytest.raises(
        ValueError, match=r"^a both seed 1 evaluator mild: expected one run of its source, found 0$"
    ):
        frontier.frontier_points(gather(lost))


def test_fits_are_exact_and_undefined_ones_say_why() -> None:
    x, y = np.array([0.0, 1, 2, 3, 5]), np.array([1.0, 0, 2, 2, 6])
    line = stats.linregress(x, y)
    assert frontier.ols(x, y) == pytest.approx(
        {
            "n": 5,
            "r2": line.rvalue**2,
            "slope": line.slope,
            "intercept": line.intercept,
            "p": line.pvalue,
        }
    )
    assert frontier.ols(x[:2], y[:2]) == {"n": 2, "undefined": "a line needs 3 points, there are 2"}
    level = {"n": 3, "undefined": "all points have the same helpfulness or safety"}
    assert frontier.ols(np.ones(3), y[:3]) == level == frontier.ols(x[:3], np.ones(3))
    assert "slope" in frontier.ols(x[:3], y[:3])


def test_a_parabola_by_its_normal_equations() -> None:
    x, y = np.array([0.0, 1, 2, 3, 5, 6]), np.array([1.0, 0, 2, 2, 6, 4])
    table = np.stack([x**2, x, np.ones(6)], 1)
    coefficients = np.linalg.solve(table.T @ table, table.T @ y)
    residual = ((y - table @ coefficients) ** 2).sum()
    line = ((y - np.polyval(np.polyfit(x, y, 1), x)) ** 2).sum()
    found = frontier.quadratic(x, y)
    assert set(found) == {"coefficients", "r2", "p"}
    assert found["coefficients"] == pytest.approx(coefficients.tolist())
    assert found["r2"] == pytest.approx(1 - residual / ((y - y.mean()) ** 2).sum())
    assert found["p"] == pytest.approx(stats.f.sf((line - residual) / (residual / 3), 1, 3))
    assert set(frontier.quadratic(x[:4], y[:4])) == {"coefficients", "r2", "p"}
    undefined = {"undefined": "a parabola and its test need 4 points, there are 3"}
    assert frontier.quadratic(x[:3], y[:3]) == undefined
    assert "undefined" in frontier.quadratic(np.array([0.0, 0, 1, 1]), y[:4])
    assert set(frontier.quadratic(np.array([0.0, 0, 1, 2]), y[:4])) == {"coefficients", "r2", "p"}


def test_a_source_left_out_is_really_out() -> None:
    points = pd.DataFrame({"source": ["b", "a", "a", "a", "b", "b"]})
    x, y = np.array([0.0, 1, 2, 4, 5, 7]), np.array([1.0, 2, 2, 5, 1, 9])
    a, b = [1, 2, 3], [0, 4, 5]
    expected = [{"source": "a", **frontier.ols(x[b], y[b])}, {"source": "b", **frontier.ols(x[a], y[a])}]
    assert frontier.leave_one_source_out(points, x, y) == expected
    assert frontier.leave_one_source_out(points.iloc[a], x[a], y[a]) == []


def test_the_frontier_summary_is_made_of_means_and_shared_draws() -> None:
    scores = study()
    draws = draw_means(scores, 60, 1)
    assert {metric: values.shape for metric, values in draws.means.items()} == {
        "safety": (61, 88),
        "helpfulness": (61, 88),
    }
    summary = frontier_summary(draws)
    assert list(summary) == ["margin", "sources", "points", "ols", "line", "quadratic", "leave_one_source_out"]
    points, line = summary["points"], summary["ols"]
    x = np.array([p["delta_helpfulness"]["estimate"] for p in points])
    y = np.array([p["delta_safety"]["estimate"] for p in points])
    fitted = frontier.ols(x, y)
    assert {key: line[key] for key in fitted} == pytest.approx(fitted)
    assert set(line) == {*fitted, "r2_interval", "slope_interval", "intercept_interval"}
    once = pd.DataFrame({"x": x, "y": y, **{k: [p[k] for p in points] for k in ("source", "ordering")}})
    once = once.groupby(["source", "ordering"])[["x", "y"]].mean()
    assert summary["quadratic"]["p"] == pytest.approx(frontier.quadratic(*once.to_numpy().T)["p"])
    assert summary["line"]["n"] == 10
    assert [entry["source"] for entry in summary["leave_one_source_out"]] == ["a", "b"]
    for point, efficient in zip(points, frontier.pareto_efficient(x, y), strict=True):
        assert list(point)[:4] == ["source", "ordering", "beta", "n_runs"]
        keys = {"safety", "helpfulness", "delta_safety", "delta_helpfulness", "height"}
        assert set(point) == {"source", "ordering", "beta", "n_runs", "pareto", *keys}
        who = {"source": point["source"], "ordering": point["ordering"], "beta": point["beta"]}
        base = {"source": point["source"], "ordering": "source", "beta": None}
        for metric in ("safety", "helpfulness"):
            level, start = plain_mean(scores, metric, **who), plain_mean(scores, metric, **base)
            assert point[metric] == pytest.approx(level)
            delta = point[f"delta_{metric}"]
            assert delta["estimate"] == pytest.approx(level - start)
            assert delta["low"] < delta["estimate"] < delta["high"]
        assert point["pareto"] is bool(efficient)
    for name in ("slope", "intercept"):
        assert line[f"{name}_interval"]["estimate"] == line[name]
        assert line[f"{name}_interval"]["low"] < line[f"{name}_interval"]["high"]


def test_intervals_of_the_frontier_are_those_of_resampled_tables() -> None:
    """One draw by hand: the cases drawn, taken as often as they were drawn, give the summary of that draw."""
    scores = study(sources=("a",), betas=(0.1,))
    draws = draw_means(scores, 5, 2)
    weights = np.concatenate(list(case_weights(len(draws.runs.cases), 5, 2)))
    drawn = {case: int(n) for case, n in zip(draws.runs.cases, weights[3], strict=True)}
    resampled = scores.loc[scores.index.repeat(scores["case_id"].map(drawn))]
    again = draw_means(resampled, 1, 0)
    for metric in ("safety", "helpfulness"):
        assert draws.means[metric][4] == pytest.approx(again.means[metric][0])
    kept = np.arange(len(draws.runs.table)) % 2 == 0
    chosen = draws.select(kept)
    assert chosen.runs.table["ordering"].tolist() == draws.runs.table["ordering"][kept].tolist()
    assert chosen.means["safety"].tolist() == draws.means["safety"][:, kept].tolist()


def test_too_few_points_leave_the_line_undefined_and_the_points_there() -> None:
    scores = study(sources=("a",), betas=(0.1,))
    summary = frontier_summary(draw_means(scores[scores["ordering"].isin(["source", "safety"])], 20, 0))
    assert summary["ols"] == {"n": 1, "undefined": "a line needs 3 points, there are 1"}
    (point,) = summary["points"]
    assert point["height"] is None and summary["line"]["undefined"].startswith("a line needs 3 points")
    assert point["delta_safety"]["estimate"] is not None


# -- persistence ---------------------------------------------------------------------------------------------


def test_fieller_s_bounds_solve_its_equation() -> None:
    covariance = np.array([[0.06, 0.04], [0.04, 0.09]])
    for level, df in ((0.95, 40.0), (0.8, 2.0)):
        found = fieller(0.8, 1.5, covariance, df, level)
        assert found["kind"] == "bounded" and found["low"] < 0.8 / 1.5 < found["high"]
        for bound in (found["low"], found["high"]):
            statistic = (0.8 - bound * 1.5) / math.sqrt(0.06 - 2 * bound * 0.04 + bound**2 * 0.09)
            assert abs(statistic) == pytest.approx(stats.t.ppf((1 + level) / 2, df))
    wide = fieller(2.0, 0.2, covariance, 40.0)
    assert wide["kind"] == "outside" and wide["low"] < wide["high"]
    whole = {"low": None, "high": None, "kind": "whole line"}
    assert fieller(0.01, 0.01, covariance, 40.0) == whole == fieller(0.8, 1.5, np.zeros((2, 2)), 40.0)
    assert fieller(0.8, 1.5, covariance, float("nan")) == whole


def test_persistence_of_every_source_evaluator_and_beta_by_plain_means() -> None:
    scores = study()
    draws = draw_means(scores, 50, 0)
    found = persistence_summary(draws)
    keys = [(row["source"], row["evaluator"], row["beta"]) for row in found]
    assert keys == [(s, e, b) for s in ("a", "b") for e in ("mild", "strict") for b in (0.1, 0.5)]
    assert [group.key for group in persistence_groups(draws.runs)] == [
        (*key, metric) for key in keys for metric in ("safety", "helpfulness")
    ]
    for row in found:
        who = {key: row[key] for key in ("source", "evaluator", "beta")}
        assert set(row) == {*who, "safety", "helpfulness", "order"}
        shares = {"excess", "along", "height", "more"}
        assert set(row["order"]) in (METRICS_AND_SEEDS, METRICS_AND_SEEDS | shares)
        for metric, other in (("safety", "helpfulness"), ("helpfulness", "safety")):

            def mean(arm: str, metric: str = metric, who: dict[str, Any] = who) -> float:
                return plain_mean(scores, metric, ordering=arm, **who)

            top = mean(f"{metric}>{other}") - mean(other)
            bottom = mean(metric) - mean(other)
            assert row[metric]["numerator"]["estimate"] == pytest.approx(top)
            assert row[metric]["denominator"]["estimate"] == pytest.approx(bottom)
            assert row[metric]["estimate"] == pytest.approx(top / bottom)
            assert row[metric]["seeds"] == [0, 1] and row[metric]["left_out"] == []
            against = row[metric]["against"]
            for arm, beta in (("source", None), (metric, row["beta"]), (other, row["beta"])):
                level = plain_mean(scores, metric, **{**who, "ordering": arm, "beta": beta})
                assert against[arm]["estimate"] == pytest.approx(mean(f"{metric}>{other}") - level)
            gap = mean("safety>helpfulness") - mean("helpfulness>safety")
            assert row["order"][metric]["estimate"] == pytest.approx(gap)
        both = row["safety"]["estimate"] + row["helpfulness"]["estimate"] - 1
        if "excess" in row["order"]:
            assert row["order"]["excess"]["estimate"] == pytest.approx(both)
    only_one = scores[scores["ordering"] != "helpfulness>safety"]
    (first, *_) = persistence_summary(draw_means(only_one, 5, 0))
    assert "order" not in first and "helpfulness" not in first
    assert order_effect(draws, "a", "mild", 0.3, 0.1) is None


# -- tables --------------------------------------------------------------------------------------------------


def episodes(**columns: Any) -> pd.DataFrame:
    """Score rows of one cell, with defaults."""
    defaults = {
        "cell": "c",
        "source": "llama",
        "ordering": "safety",
        "beta": 0.1,
        "seed": 0,
        "evaluator": "state",
        "split": "test_combination",
        "case_id": [f"case{i}" for i in range(len(columns["safety"]))],
        "n_calls": 2,
        "n_invalid": 0,
        "n_failed": 0,
        "n_questions": 0,
        "n_tokens": 10,
        "refused": False,
        "fabricated": False,
        "missing_reason": None,
    }
    return pd.DataFrame({**defaults, **columns})


def test_a_row_of_the_grid_key_by_key() -> None:
    scores = episodes(
        safety=[3.0, 3.0, 1.0, NAN],
        helpfulness=[3.0, 1.0, 3.0, NAN],
        case_id=["x", "x", "y", "z"],
        n_calls=[2, 3, 4, 1],
        n_invalid=[1, 0, 0, 1],
        n_failed=[0, 1, 2, 0],
        n_questions=[0, 1, 2, 0],
        n_tokens=[10, 20, 30, 50],
        refused=[True, False, False, False],
        fabricated=[False, True, True, True],
    )
    silent = episodes(
        safety=[2.0], helpfulness=[0.0], n_calls=0, n_invalid=0, cell="b", beta=NAN, ordering="source"
    )
    first, second = grid_table(pd.concat([scores, silent], ignore_index=True)).to_dict("records")
    assert all(math.isnan(first.pop(name)) for name in COLUMNS), "none of it is known of scores without twins"
    assert first == {
        "cell": "c",
        "source": "llama",
        "ordering": "safety",
        "beta": 0.1,
        "seed": 0,
        "evaluator": "state",
        "split": "test_combination",
        "n_cases": 3,
        "n_episodes": 4,
        "n_missing": 1,
        "safety": pytest.approx(7 / 3),
        "helpfulness": pytest.approx(7 / 3),
        "best_of_both": pytest.approx(1 / 3),
        "refusal_rate": 0.25,
        "question_rate": 0.5,
        "invalid_rate": 0.2,
        "failed_rate": pytest.approx(0.3),
        "fabricated_rate": 0.75,
        "mean_tokens": 27.5,
        "mean_calls": 2.5,
    }
    assert (second["cell"], second["invalid_rate"], second["failed_rate"]) == ("b", 0.0, 0.0)
    assert math.isnan(second["beta"])


def test_a_cell_s_summary_has_its_splits_its_level_and_its_change() -> None:
    headline = study(sources=("a",), betas=(0.1,))
    headline = headline[headline["evaluator"] == "strict"]
    filled = episodes(safety=headline["safety"].tolist(), helpfulness=headline["helpfulness"].tolist())
    scores = filled.assign(**{c: headline[c].to_numpy() for c in headline.columns})
    other = scores.assign(split="test_iid", safety=1.0)
    grid = grid_table(pd.concat([scores, other], ignore_index=True))
    draws = draw_means(scores, 40, 0)
    cells = {cell["cell"]: cell for cell in cell_summaries(grid, draws)}
    assert list(cells) == list(dict.fromkeys(scores["cell"]))
    source, trained = cells["a/source/nan/1"], cells["a/both/0.1/1"]
    assert set(trained) == {"cell", "source", "ordering", "beta", "seed", "splits", "level", "delta"}
    assert (trained["source"], trained["ordering"], trained["beta"], trained["seed"]) == ("a", "both", 0.1, 1)
    assert source["beta"] is None and source["delta"] is None
    assert set(trained["splits"]) == {"test_combination", "test_iid"}
    row = grid[(grid["cell"] == "a/both/0.1/1") & (grid["split"] == "test_combination")].iloc[0].to_dict()
    identity = {"cell", "source", "ordering", "beta", "seed", "evaluator", "split"}
    expected = {k: None if k in COLUMNS else v for k, v in row.items() if k not in identity}
    assert trained["splits"]["test_combination"] == expected
    assert trained["splits"]["test_iid"]["safety"] == 1.0
    for metric in ("safety", "helpfulness"):
        level = plain_mean(scores, metric, ordering="both", seed=1)
        start = plain_mean(scores, metric, ordering="source", seed=1)
        assert trained["level"][metric]["estimate"] == pytest.approx(level)
        assert source["level"][metric]["estimate"] == pytest.approx(start)
        assert trained["delta"][metric]["estimate"] == pytest.approx(level - start)
        for part in (trained["level"][metric], trained["delta"][metric], source["level"][metric]):
            assert part["low"] < part["estimate"] < part["high"]
    without = draw_means(scores[scores["ordering"] != "source"], 5, 0)
    lone = {cell["cell"]: cell for cell in cell_summaries(grid, without)}
    assert lone["a/both/0.1/1"]["delta"] is None and lone["a/source/nan/1"]["level"] is None
    assert lone["a/both/0.1/1"]["level"] is not None


def test_a_paired_comparison_key_by_key() -> None:
    first = pd.DataFrame(
        {"case_id": ["a", "a", "b", "c", "d", "e"], "safety": [3.0, 1, 1, 2, NAN, 3], "x": np.nan}
    )
    second = pd.DataFrame({"case_id": ["a", "b", "c", "d", "e"], "safety": [1.0, 3, 2, 3, 0], "x": np.nan})
    found = paired_comparison(first, second, "safety", n_draws=300, seed=5)
    gap = np.array([1.0, -2, 0, 3])
    draws = np.concatenate([w @ gap / 4 for w in case_weights(4, 300, 5)])
    assert found == {
        "n_cases": 4,
        "wins": 2,
        "losses": 1,
        "ties": 1,
        "difference": from_draws(0.5, draws).as_dict(),
        "p": pytest.approx(stats.wilcoxon(gap, zero_method="pratt").pvalue),
    }
    again = paired_comparison(first, second, "safety")
    assert again == paired_comparison(first, second, "safety", n_draws=2_000, seed=0)
    assert paired_comparison(second, second, "safety")["p"] is None
    with pytest.raises(ValueError, match=r"^no case has a safety score in both cells$"):
        paired_comparison(first.iloc[:1], second.iloc[1:], "safety")


def test_agreement_key_by_key() -> None:
    first, second = pd.Series([0.0, 1, 2, 3, 3, NAN]), pd.Series([0.0, 2, 2, 3, 1, 1])
    found = agreement(first, second)
    confusion = [[1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 1, 0], [0, 1, 0, 1]]
    observed = (0 + 1 + 0 + 0 + 4) / 9 / 5
    expected = sum(((a - b) / 3) ** 2 for a in (0, 1, 2, 3, 3) for b in (0, 2, 2, 3, 1)) / 25
    assert found == {"n": 5, "kappa": pytest.approx(1 - observed / expected), "bias": 0.2, "confusion": confusion}
    assert isinstance(found["confusion"][0][0], int)
    same = agreement(pd.Series([1.0, 1.0]), pd.Series([1.0, 1.0]), 3)
    assert math.isnan(same["kappa"]) and same["confusion"] == [[0, 0, 0], [0, 2, 0], [0, 0, 0]]
    one = agreement(pd.Series([2.0]), pd.Series([0.0]), 3)
    assert one["kappa"] == 0.0 and one["bias"] == 2.0


def test_every_two_cells_of_a_seed_and_evaluator_are_compared_once() -> None:
    scores = study(sources=("a",), betas=(0.1,))
    scores = scores[scores["ordering"].isin(["source", "safety", "both"])]
    rows = cell_comparisons(scores)
    assert len(rows) == 2 * 2 * 3 * 2
    assert list(rows[0])[:5] == ["seed", "evaluator", "first", "second", "metric"]
    assert [(r["seed"], r["evaluator"]) for r in rows[::6]] == [
        (0, "mild"),
        (0, "strict"),
        (1, "mild"),
        (1, "strict"),
    ]
    assert [(r["first"], r["second"], r["metric"]) for r in rows[:3]] == [
        ("a/source/nan/0", "a/safety/0.1/0", "safety"),
        ("a/source/nan/0", "a/safety/0.1/0", "helpfulness"),
        ("a/source/nan/0", "a/both/0.1/0", "safety"),
    ]
    mine = scores[(scores["seed"] == 0) & (scores["evaluator"] == "mild")]
    pair = [mine[mine["cell"] == rows[0][side]] for side in ("first", "second")]
    expected = paired_comparison(*pair, "safety")
    assert {key: rows[0][key] for key in expected} == expected


def test_the_attainable_frontier_by_hand() -> None:
    one = [(3.0, 0.0), (2.0, 2.0), (1.0, 2.5), (0.0, 3.0), (2.0, 1.0), (3.0, -1.0)]
    assert attainable_frontier([one]) == [
        {"safety": 3.0, "helpfulness": 0.0},
        {"safety": 2.0, "helpfulness": 2.0},
        {"safety": 0.0, "helpfulness": 3.0},
    ]
    two = [(3.0, 1.0), (1.0, 2.0)]
    assert attainable_frontier([one, two]) == [
        {"safety": 3.0, "helpfulness": 0.5},
        {"safety": 2.5, "helpfulness": 1.5},
        {"safety": 0.5, "helpfulness": 2.5},
    ]
    bent = [(3.0, 0.0), (2.0, 0.5), (1.0, 2.0), (0.0, 2.2)]
    assert [v["safety"] for v in attainable_frontier([bent])] == [3.0, 1.0, 0.0]
    with pytest.raises(ValueError, match=r"^the attainable frontier needs at least one outcome of every case$"):
        attainable_frontier([one, []])


def test_headline_numbers_are_rounded_and_nulls_stay_null() -> None:
    analysis = {
        "frontier": {
            "ols": {"n": 5, "r2": 0.123456789, "slope": -1.0},
            "sources": [
                {
                    "source": "llama",
                    "safety": {"parts": {"sampling": None, "cases": 0.25, "training": 0.04}},
                    "helpfulness": {"parts": {"sampling": None, "cases": 0.0, "training": None}},
                }
            ],
            "points": [
                {
                    "source": "llama",
                    "ordering": "both",
                    "beta": 0.1,
                    "delta_safety": {"estimate": 0.33333333},
                    "delta_helpfulness": {"estimate": np.float64(0.66666666)},
                }
            ],
        },
        "persistence": [
            {
                "source": "llama",
                "beta": 0.1,
                "safety": {"estimate": 0.9999999},
                "helpfulness": {"estimate": None},
                "order": {
                    metric: {"estimate": 0.12345678, "low": None, "high": 1.0, "kind": "over cases and training"}
                    for metric in ("safety", "helpfulness")
                },
            },
            {"source": "gpt2", "beta": 0.05},
        ],
        "discrimination": {
            "discrimination": {
                "cells": [{"cell": "a", "level": {"estimate": 0.12345678}}, {"cell": "b", "level": None}]
            }
        },
    }
    names = [f"{kind} {metric}" for kind in ("persistence of", "order,") for metric in ("safety", "helpfulness")]
    none: dict[str, Any] = {name: {} for name in names}
    assert headline_metrics(analysis) == {
        "frontier": {"n": 5, "r2": 0.123457, "slope": -1.0, "intercept": None},
        "persistence": {
            "llama, beta 0.1": {"safety": 1.0, "helpfulness": None},
            "gpt2, beta 0.05": {"safety": None, "helpfulness": None},
        },
        "order": {
            "llama, beta 0.1": {
                metric: {"estimate": 0.123457, "low": None, "high": 1.0} for metric in ("safety", "helpfulness")
            }
        },
        "errors": {
            "llama, source": {
                "safety": {"sampling": None, "cases": 0.5, "training": 0.2},
                "helpfulness": {"sampling": None, "cases": 0.0, "training": None},
            },
            "llama, beta 0.1": none,
            "gpt2, beta 0.05": none,
        },
        "intervals": ["over cases and training"],
        "points": {"llama, both, beta 0.1": {"safety": 0.333333, "helpfulness": 0.666667}},
        "discrimination": {"a": 0.123457, "b": None},
    }
    assert frontier_table(analysis) == [
        {"source": "llama", "ordering": "both", "beta": 0.1, "helpfulness": 0.666667, "safety": 0.333333}
    ]
