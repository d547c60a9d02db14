"""Rates and means of groups: as plain means and shares, with intervals that widen where cases hang together."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from persistence_pipeline.report.groups import ratio_of_sums


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 9), st.integers(0, 4)), min_size=1, max_size=40))
def test_the_estimate_is_the_share_and_lies_in_its_interval(rows: list[tuple[int, int, int]]) -> None:
    parts, wholes, clusters = (pd.Series(column) for column in zip(*rows, strict=True))
    found = ratio_of_sums(parts, wholes, clusters)
    assert found["estimate"] == pytest.approx(parts.sum() / wholes.sum()) and found["n"] == len(rows)
    if found["low"] is not None:
        assert found["low"] < found["estimate"] < found["high"]


def test_a_mean_of_independent_episodes_has_students_interval() -> None:
    from scipy import stats

    values = pd.Series(np.random.default_rng(0).normal(size=30))
    found = ratio_of_sums(values, pd.Series(1.0, values.index), pd.Series(range(30)))
    low, high = stats.t.interval(0.95, 29, values.mean(), stats.sem(values))
    assert (found["low"], found["high"]) == pytest.approx((low, high))


def test_copies_of_a_case_make_nothing_surer() -> None:
    values, cases = pd.Series([0.0, 1.0, 3.0]), pd.Series([0, 1, 2])
    once = ratio_of_sums(values, pd.Series(1.0, values.index), cases)
    twice = pd.concat([values, values], ignore_index=True), pd.concat([cases, cases], ignore_index=True)
    again = ratio_of_sums(twice[0], pd.Series(1.0, twice[0].index), twice[1])
    assert (again["low"], again["high"]) == pytest.approx((once["low"], once["high"])) and again["n"] == 6


def test_nothing_to_divide_by_has_no_estimate() -> None:
    empty = pd.Series([float("nan")])
    assert ratio_of_sums(empty, pd.Series([1.0]), pd.Series([0]))["estimate"] is None
