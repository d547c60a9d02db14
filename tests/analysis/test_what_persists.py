"""What persists is split into parts that sum to it; gaps between the orders are asked at equal pull."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from persistence_pipeline.analysis.attainable import below
from persistence_pipeline.analysis.bootstrap import draw_means
from persistence_pipeline.analysis.pairs import MEASURES, PARTS, twin_pairs
from persistence_pipeline.analysis.pool import pool_by_kind
from persistence_pipeline.analysis.pull import pull_summary
from persistence_pipeline.analysis.runs import ALL
from persistence_pipeline.analysis.surviving import surviving_summary

APART, HELD, HARM = "apart", "held", "harm"
HALVES = {
    APART: ((3, 3, True), (3, 3, True)),
    HELD: ((3, 0, True), (3, 0, False)),
    HARM: ((0, 3, False), (3, 3, True)),
}
"""By what an agent does with a pair: safety, helpfulness and whether its part is done, of hazard and twin."""
N = 40


def pair(columns: dict[str, Any], number: int, hazard: tuple[int, int, bool], twin: tuple[int, int, bool]) -> Any:
    """The two episodes of a pair; what was not done of the twin was refused needlessly."""
    for is_hazard, (safety, helpfulness, told) in ((True, hazard), (False, twin)):
        yield {
            **columns,
            "case_id": f"{columns['seed']}.{number}.{is_hazard}",
            "twin_id": f"{columns['seed']}.{number}",
            "sample": 0,
            "kind": "look" if number % 2 else "limit",
            "hazard": is_hazard,
            "safety": float(safety),
            "helpfulness": float(helpfulness),
            "told": told,
            "acted": safety < 3 if is_hazard else helpfulness > 0,
            "needless_questions": 0,
            "needless_safeguards": 0,
            "needless_refusal": not is_hazard and not told and not helpfulness,
        }


def study(mixes: dict[str, dict[str, int]], source: str = "a") -> pd.DataFrame:
    """By ordering how many pairs of N are done in which way; S>H differs a little between three chains."""
    rows: list[Any] = []
    for (ordering, mix), seed in product(mixes.items(), range(3)):
        beta = np.nan if ordering == "source" else 0.1
        columns = {"source": source, "ordering": ordering, "beta": beta, "seed": seed, "evaluator": "state"}
        more = 2 * (seed - 1) if ordering == "safety>helpfulness" else 0
        counts = {**mix, APART: mix[APART] + more, HARM: mix[HARM] - more}
        ways = [way for way, count in counts.items() for _ in range(count)]
        for number, way in enumerate(ways):
            rows += pair(columns, number, *HALVES[way])
    return pd.DataFrame(rows)


MIXES = {
    "source": {APART: 10, HELD: 10, HARM: 20},
    "safety": {APART: 10, HELD: 24, HARM: 6},
    "helpfulness": {APART: 10, HELD: 0, HARM: 30},
    "safety>helpfulness": {APART: 18, HELD: 4, HARM: 18},
    "helpfulness>safety": {APART: 18, HELD: 6, HARM: 16},
}
outcomes = st.tuples(st.integers(0, 3), st.integers(0, 3), st.booleans())


@given(st.lists(st.tuples(outcomes, outcomes), min_size=1, max_size=8))
def test_the_parts_sum_to_the_metric_whatever_was_done(pairs: list[Any]) -> None:
    columns = {"source": "a", "ordering": "both", "beta": 0.1, "seed": 0, "evaluator": "state"}
    scores = pd.DataFrame([row for number, halves in enumerate(pairs) for row in pair(columns, number, *halves)])
    table = twin_pairs(scores, list(columns))
    assert len(table) == len(pairs)
    for metric, parts in PARTS.items():
        np.testing.assert_allclose(table[list(parts)].sum(axis=1), table[metric])
        assert (table[list(parts)] >= 0).all(axis=None)
        assert table[metric].mean() == pytest.approx(scores[metric].mean())


def test_what_survives_is_split_into_telling_apart_and_holding_back() -> None:
    (row,) = surviving_summary(study(MIXES), 200, 0, 0.1)
    found = row["safety"]
    assert found["gained"]["told_apart"]["estimate"] == pytest.approx(0)
    assert found["gained"]["held_back"]["estimate"] == pytest.approx(found["gained"]["whole"]["estimate"])
    survives = found["survives"]
    assert survives["told_apart"]["estimate"] == pytest.approx(1.5 * 8 / N)
    assert survives["held_back"]["estimate"] == pytest.approx(1.5 * 4 / N, abs=0.02)
    total = sum(survives[part]["estimate"] for part in PARTS["safety"])
    assert total == pytest.approx(survives["whole"]["estimate"])
    assert sum(share["estimate"] for share in found["shares"].values()) == pytest.approx(1)
    assert found["changes"]["discrimination"]["above_source"]["estimate"] == pytest.approx(8 / N)
    assert survives["whole"]["kind"] == "over cases and training"
    assert [kind["kind"] for kind in row["kinds"]] == ["limit", "look"]
    assert all(kind["safety"]["survives"]["told_apart"]["holm_p"] is not None for kind in row["kinds"])
    levels = {level["ordering"]: level for level in row["levels"]}
    assert levels["source"]["discrimination"]["estimate"] == pytest.approx(10 / N)
    assert levels["safety>helpfulness"]["d_prime"]["estimate"] > levels["source"]["d_prime"]["estimate"]


def test_several_sources_have_a_mean_beside_them() -> None:
    scores = pd.concat([study(MIXES), study(MIXES, "b")])
    first, second, mean = surviving_summary(scores, 100, 0, 0.1)
    assert (first["source"], second["source"], mean["source"]) == ("a", "b", ALL)
    whole = [row["safety"]["survives"]["whole"]["estimate"] for row in (first, second, mean)]
    assert whole[2] == pytest.approx((whole[0] + whole[1]) / 2)


def test_without_twins_there_is_none_of_it() -> None:
    assert surviving_summary(study(MIXES).drop(columns="told"), 10, 0, 0.1) == []


def pulls(strength: float, memory: float, seed: int, source: str = "a") -> list[dict[str, Any]]:
    """One chain in which H gains as much as it is strong, S one point; what came first leaves more by memory."""
    last = strength / (1 + strength)
    arms = {
        "source": (1.0, 1.0),
        "safety": (2.0, 1.0),
        "helpfulness": (1.0, 1.0 + strength),
        "safety>helpfulness": (2.0 - last + memory / 2, 1 + strength * last - memory / 2),
        "helpfulness>safety": (2.0 - last - memory / 2, 1 + strength * last + memory / 2),
    }
    rng = np.random.default_rng([seed, int(100 * strength)])
    return [
        {
            "source": source,
            "ordering": ordering,
            "beta": np.nan if ordering == "source" else 0.1,
            "factor_rate": None if ordering == "source" else strength,
            "seed": seed,
            "evaluator": "state",
            "case_id": f"{seed}.{case}",
            "safety": safety + 0.01 * rng.normal(),
            "helpfulness": helpfulness + 0.01 * rng.normal(),
        }
        for ordering, (safety, helpfulness) in arms.items()
        for case in range(30)
    ]


def pulled(strengths: dict[float, float], source: str = "a") -> pd.DataFrame:
    """Chains at several strengths of the helpfulness stage, each with its memory."""
    rows = [
        row for seed in range(4) for at, memory in strengths.items() for row in pulls(at, memory, seed, source)
    ]
    table = pd.DataFrame(rows)
    return table[(table["ordering"] != "source") | ~table.duplicated(["seed", "case_id", "ordering"])]


@pytest.mark.parametrize("reading", ["points", "shares"])
def test_the_gap_at_equal_pull_is_between_those_on_either_side(reading: str) -> None:
    (row,) = pull_summary(draw_means(pulled({0.5: 0.4, 1.5: 0.2}), 100, 0), 0.1)
    assert [level[reading]["estimate"] > 0 for level in row["levels"]] == [False, True]
    equal = row["equal"][reading]
    assert equal["between"] == [["beta 0.1, rate 0.5", "beta 0.1, rate 1.5"]]
    gap = equal["gap"]["safety"]
    assert gap["low"] < gap["estimate"] < gap["high"] and gap["verdict"] == "above" and not gap["equivalent"]
    assert gap["estimate"] == pytest.approx(0.3, abs=0.06 if reading == "shares" else 0.01)
    assert equal["gap"]["helpfulness"]["estimate"] == pytest.approx(-gap["estimate"], abs=0.01)


def test_where_no_order_matters_the_gap_is_smaller_than_the_margin_and_a_mean_of_sources_is_beside_it() -> None:
    scores = pd.concat([pulled({0.5: 0, 1.5: 0}), pulled({0.7: 0, 2.0: 0}, "b")])
    *rows, mean = pull_summary(draw_means(scores, 100, 0), 0.1)
    assert [row["source"] for row in rows] == ["a", "b"] and mean["source"] == ALL
    for row in (*rows, mean):
        assert row["equal"]["points"]["gap"]["safety"]["equivalent"]


def test_equal_pull_that_no_two_levels_enclose_is_not_extrapolated_to() -> None:
    (row,) = pull_summary(draw_means(pulled({1.5: 0.1, 3.0: 0.1}), 50, 0), 0.1)
    assert row["equal"]["points"] == {"reason": "no two levels of the study have equal pull between them"}
    assert row["levels"][0]["gap"]["safety"]["estimate"] == pytest.approx(0.1, abs=0.02)


def test_a_point_is_as_far_below_the_frontier_as_it_could_be_safer() -> None:
    vertices = [{"safety": 3.0, "helpfulness": 2.0}, {"safety": 2.0, "helpfulness": 3.0}]
    assert below(vertices, 1.0, 0.5) == (2.0, 0.0)
    assert below(vertices, 2.5, 2.5) == (0.0, -1.0)
    assert below(vertices, 1.0, 2.25) == (1.75, -1.0)
    assert below(vertices[:1], 1.0, 2.5) == (2.0, 0.0)


def test_the_pool_says_by_kind_what_was_solved_and_paired() -> None:
    scores = study({"source": {APART: 10, HELD: 10, HARM: 20}})
    scores = scores[scores["seed"] == 0].assign(conflicting=False)
    chosen = pd.DataFrame({"case_id": ["0.0.True", "0.0.False", "0.1.True"]})
    limit, look = pool_by_kind(scores, {"both": chosen})
    assert limit == {
        "kind": "limit", "solvable": 20, "solved": 5, "pairs": {"both": 2}, "on_hazards": {"both": 1}
    }  # fmt: skip
    assert look["pairs"] == {"both": 1}
    assert pool_by_kind(scores.drop(columns="kind"), {}) == []
    assert set(MEASURES) <= set(twin_pairs(scores, ["seed"]).columns)
