"""Grid table, paired comparisons, evaluator agreement, attainable frontier."""

from __future__ import annotations

from itertools import pairwise, product

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from persistence_pipeline.analysis.attainable import attainable_frontier
from persistence_pipeline.analysis.audits import cell_comparisons
from persistence_pipeline.analysis.grid import grid_table
from persistence_pipeline.analysis.paired import agreement, paired_comparison

SCORES = st.integers(0, 3)


def _scores(rows: list[tuple[str, float, float]]) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=["case_id", "safety", "helpfulness"])
    fixed = {"cell": "x", "source": "m", "ordering": "both", "beta": 0.1, "seed": 0, "evaluator": "state"}
    counts = {"split": "test_iid", "n_calls": 4, "n_invalid": 1, "n_failed": 0, "n_questions": 0, "n_tokens": 9}
    return table.assign(**fixed, **counts, refused=False, fabricated=False)


def test_the_grid_counts_what_is_missing_and_averages_the_rest() -> None:
    scores = _scores([("a", 3, 3), ("a", 1, 2), ("b", np.nan, np.nan)])
    (row,) = grid_table(scores).to_dict("records")
    assert (row["n_episodes"], row["n_missing"], row["n_cases"]) == (3, 1, 2)
    assert (row["safety"], row["helpfulness"], row["best_of_both"]) == (2.0, 2.5, 0.5)
    assert row["invalid_rate"] == 0.25 and row["question_rate"] == 0


def test_paired_comparison_counts_cases_not_episodes() -> None:
    first = _scores([("a", 3, 0), ("a", 3, 0), ("b", 1, 0), ("c", 2, 0), ("d", 3, 0)])
    second = _scores([("a", 1, 0), ("b", 2, 0), ("c", 2, 0), ("e", 0, 0)])
    found = paired_comparison(first, second, "safety")
    assert (found["n_cases"], found["wins"], found["losses"], found["ties"]) == (3, 1, 1, 1)
    assert found["difference"]["estimate"] == pytest.approx(1 / 3)
    reverse = paired_comparison(second, first, "safety")
    assert (reverse["wins"], reverse["losses"]) == (1, 1)
    assert reverse["difference"]["low"] == pytest.approx(-found["difference"]["high"])
    assert paired_comparison(first, first, "safety")["p"] is None


def test_a_clear_difference_is_significant_and_an_absent_one_is_not() -> None:
    rng = np.random.default_rng(0)
    base = [(f"c{i}", float(v), 0.0) for i, v in enumerate(rng.integers(0, 3, 80))]
    better = [(c, s + (i % 3 > 0), h) for i, (c, s, h) in enumerate(base)]
    assert paired_comparison(_scores(better), _scores(base), "safety")["p"] < 1e-6
    noisy = [(c, float(v), 0.0) for (c, _, _), v in zip(base, rng.integers(0, 3, 80), strict=True)]
    assert paired_comparison(_scores(noisy), _scores(base), "safety")["p"] > 0.01
    with pytest.raises(ValueError, match="no case"):
        paired_comparison(_scores([("a", 1, 1)]), _scores([("b", 1, 1)]), "safety")


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(SCORES, SCORES), min_size=2, max_size=60))
def test_kappa_is_one_minus_observed_over_expected_disagreement(pairs: list[tuple[int, int]]) -> None:
    first, second = (pd.Series(values, dtype=float) for values in zip(*pairs, strict=True))
    found = agreement(first, second)
    observed = np.mean([(a - b) ** 2 for a, b in pairs])
    expected = np.mean([(a - b) ** 2 for a, b in product(first, second)])
    if expected == 0:
        assert np.isnan(found["kappa"])
    else:
        assert found["kappa"] == pytest.approx(1 - observed / expected)
    assert found["bias"] == pytest.approx(float((first - second).mean()))
    assert np.sum(found["confusion"]) == len(pairs)


def test_agreement_leaves_out_what_one_evaluator_did_not_score() -> None:
    found = agreement(pd.Series([1.0, np.nan, 3.0]), pd.Series([1.0, 2.0, 3.0]))
    assert found["n"] == 2 and found["kappa"] == 1


OUTCOMES = st.lists(st.tuples(SCORES, SCORES), min_size=1, max_size=4, unique=True)


@settings(max_examples=150, deadline=None)
@given(st.lists(OUTCOMES, min_size=1, max_size=4))
def test_nothing_reachable_lies_beyond_the_attainable_frontier(cases: list[list[tuple[int, int]]]) -> None:
    """Every combination of outcomes lies on or under the curve, and each vertex is reached by some combination."""
    vertices = [(v["safety"], v["helpfulness"]) for v in attainable_frontier(cases)]
    reachable = [tuple(np.mean(combination, axis=0)) for combination in product(*cases)]
    for safety, helpfulness in reachable:
        assert helpfulness <= _highest(vertices, safety) + 1e-9
    for vertex in vertices:
        assert any(np.allclose(vertex, point) for point in reachable)
    slopes = [(b[1] - a[1]) / (a[0] - b[0]) for a, b in pairwise(vertices)]
    assert slopes == sorted(slopes, reverse=True) and all(s > 0 for s in slopes)


def _highest(vertices: list[tuple[float, float]], safety: float) -> float:
    """Helpfulness of the curve at a safety; its most helpful value below the last vertex."""
    if safety > vertices[0][0] + 1e-9:
        return float("-inf")
    xs, ys = [v[0] for v in vertices][::-1], [v[1] for v in vertices][::-1]
    return float(np.interp(safety, xs, ys))


def test_the_attainable_frontier_needs_outcomes() -> None:
    with pytest.raises(ValueError, match="at least one outcome"):
        attainable_frontier([[(3, 3)], []])


def test_cells_of_one_seed_are_compared_across_sources_and_others_are_not() -> None:
    parts = []
    for cell, seed, level in (("a_s0", 0, 1.0), ("b_s0", 0, 2.0), ("mute_s0", 0, float("nan")), ("a_s1", 1, 1.0)):
        rows = [{"case_id": f"s{seed}.{n}", "safety": level, "helpfulness": level} for n in range(4)]
        parts.append(pd.DataFrame(rows).assign(cell=cell, seed=seed, source=cell[0], evaluator="state"))
    rows = cell_comparisons(pd.concat(parts))
    assert [(row["first"], row["second"], row["metric"]) for row in rows] == [
        ("a_s0", "b_s0", "safety"),
        ("a_s0", "b_s0", "helpfulness"),
    ]
    assert rows[0]["losses"] == 4 and rows[0]["difference"]["estimate"] == -1
