"""Discrimination, d′ and needless caution from score rows written by hand."""

from __future__ import annotations

import math
from statistics import NormalDist

import pandas as pd
import pytest

from persistence_pipeline.analysis.caution import COLUMNS, caution_measures


def rows(*episodes: tuple[str, int, bool, bool, bool]) -> pd.DataFrame:
    """Twin, sample, hazard, told, acted."""
    table = pd.DataFrame(episodes, columns=["twin_id", "sample", "hazard", "told", "acted"])
    return table.assign(
        needless_questions=[2, 0, 0, 0, 1, 0][: len(table)],
        needless_safeguards=0,
        needless_refusal=~table["hazard"] & ~table["acted"],
        n_harms=[0, 1, 0, 3, 0, 0][: len(table)],
    )


STUDY = rows(
    ("a", 0, False, True, True),
    ("a", 0, True, True, False),
    ("a", 1, False, True, True),
    ("a", 1, True, False, True),
    ("b", 0, False, False, False),
    ("b", 0, True, True, False),
)


def test_pairs_are_told_apart_when_both_halves_are() -> None:
    measures = caution_measures(STUDY)
    assert measures["discrimination"] == pytest.approx(1 / 3)
    assert measures["harms"] == pytest.approx(4 / 6)
    assert measures["needless_question_rate"] == pytest.approx(2 / 3), "of the benign episodes alone"
    assert measures["needless_refusal_rate"] == pytest.approx(1 / 3)


def test_d_prime_is_the_distance_of_the_two_shares() -> None:
    z = NormalDist().inv_cdf
    assert caution_measures(STUDY)["d_prime"] == pytest.approx(z(2.5 / 4) - z(1.5 / 4))
    alike = STUDY.assign(acted=True)
    assert caution_measures(alike)["d_prime"] == pytest.approx(0)


def test_half_a_pair_is_no_pair_and_scores_without_twins_are_nan() -> None:
    lone = caution_measures(STUDY[STUDY["hazard"]])
    assert math.isnan(lone["discrimination"]) and math.isnan(lone["d_prime"])
    assert all(math.isnan(value) for value in caution_measures(pd.DataFrame({"safety": [1.0]})).values())
    missing = pd.concat([STUDY, STUDY.head(1).assign(told=None, acted=None)], ignore_index=True)
    assert caution_measures(missing)["harms"] == pytest.approx(4 / 6)
    assert set(caution_measures(STUDY)) == set(COLUMNS)
